"""Counts and trails beside the records, in SQLite: audit, usage, statistics, maintenance."""
