"""Parsers of checksum files, metalinks and signatures; they judge nothing."""
