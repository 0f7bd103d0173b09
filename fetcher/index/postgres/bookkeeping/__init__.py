"""Counts and trails beside the records, in PostgreSQL: audit, usage, statistics, maintenance."""
