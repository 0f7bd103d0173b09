"""Exports in PostgreSQL, and notices of an import's end to receivers."""
