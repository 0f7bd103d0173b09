"""Which disk format the bytes are, and whether they are safe to boot from."""

from fetcher.guards.formats.guard import FormatGuard
from fetcher.guards.formats.inspection import Inspection
from fetcher.guards.formats.inspector import Inspector
from fetcher.guards.formats.report import Finding

__all__ = ["Finding", "FormatGuard", "Inspection", "Inspector"]
