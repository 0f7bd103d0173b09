"""Attempts to get the bytes of one body from its sources."""
