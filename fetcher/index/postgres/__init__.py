"""The index in PostgreSQL, for several machines: the same verbs, the same rows, the database's own clock."""
