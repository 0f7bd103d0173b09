"""Staged files and their durable, content-addressed home; the one room that knows the file system."""
