"""Formats of virtual disks that are judged to their tables."""
