"""A look at a source before an import: what would become of it, and which checksum file is beside it."""
