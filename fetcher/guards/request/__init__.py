"""Guards of a submission, before any connection."""
