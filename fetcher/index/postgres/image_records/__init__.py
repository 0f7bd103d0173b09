"""Images in PostgreSQL: their records, lists, members and attestations."""
