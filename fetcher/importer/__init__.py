"""Takes one import from queued to its end, and recovers at start."""

from fetcher.importer.importer import Importer
from fetcher.importer.notifier import Notifier
from fetcher.importer.parts import Parts
from fetcher.importer.upkeep import Upkeep
from fetcher.importer.verdicts import verdict_of

__all__ = ["Importer", "Notifier", "Parts", "Upkeep", "verdict_of"]
