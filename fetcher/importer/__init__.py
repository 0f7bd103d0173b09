"""Takes one import from queued to its end, and recovers at start."""
