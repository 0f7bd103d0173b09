"""Source schemes."""
