"""Catalogues of images: bytes of strangers to entries, without judging whether anything in them is true."""

from fetcher.parsers.catalogues.entry import Entry, Reading, normal_arch
from fetcher.parsers.catalogues.image_manager import read_image_manager
from fetcher.parsers.catalogues.names import Wanted, choose, has_ended, is_name, parse_name, search
from fetcher.parsers.catalogues.simplestreams import Part, read_index, read_products

__all__ = [
    "Entry",
    "Part",
    "Reading",
    "Wanted",
    "choose",
    "has_ended",
    "is_name",
    "normal_arch",
    "parse_name",
    "read_image_manager",
    "read_index",
    "read_products",
    "search",
]
