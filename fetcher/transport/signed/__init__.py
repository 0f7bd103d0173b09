"""Signatures of bytes that were fetched, and the files that list digests."""
