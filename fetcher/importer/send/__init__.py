"""Where images go on to when they are complete."""
