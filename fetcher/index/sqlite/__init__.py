"""The index in one SQLite file: one writer thread, readers beside it."""
