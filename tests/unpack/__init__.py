"""The unpack room."""
