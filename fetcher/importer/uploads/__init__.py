"""Bytes that are sent to us: each body a run, with the records of an import."""
