"""Disk images made into the format that the cloud boots, and the proof that they boot."""
