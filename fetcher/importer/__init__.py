"""Take one import from queued to its end, and recover at start."""

from fetcher.importer.context import Context
from fetcher.importer.records.verdicts import verdict_of
from fetcher.importer.service import Importer

__all__ = ["Context", "Importer", "verdict_of"]
