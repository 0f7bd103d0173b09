"""Compressed streams, and the beginning of what is inside."""
