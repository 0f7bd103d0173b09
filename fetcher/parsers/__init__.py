"""Parsers of checksum files, metalinks, signatures and the headers of archives; they judge nothing."""
