"""Checksum files."""
