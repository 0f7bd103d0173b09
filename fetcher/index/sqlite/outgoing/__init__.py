"""Exports in SQLite, and notices of an import's end to receivers."""
