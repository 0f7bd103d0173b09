"""Checksum files as distributions and vendors publish them: a declared grammar for each dialect."""

from fetcher.parsers.checksum_files.choice import ACCEPTED, choose, find_digest, known
from fetcher.parsers.checksum_files.listing import Listing, read_listing
from fetcher.parsers.checksum_files.names import stem_of
from fetcher.parsers.checksum_files.signed import SIGNED
from fetcher.parsers.checksum_files.text import decode

__all__ = [
    "ACCEPTED",
    "SIGNED",
    "Listing",
    "choose",
    "decode",
    "find_digest",
    "known",
    "read_listing",
    "stem_of",
]
