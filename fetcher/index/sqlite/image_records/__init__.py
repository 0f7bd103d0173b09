"""Images in SQLite: their records, lists, members and attestations."""
