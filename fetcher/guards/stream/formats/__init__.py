"""Disk formats: recognising them, and judging whether they are safe to boot from."""

from fetcher.guards.stream.formats.guard import FormatGuard
from fetcher.guards.stream.formats.inspection import Inspection
from fetcher.guards.stream.formats.inspector import Inspector
from fetcher.guards.stream.formats.report import Finding

__all__ = ["Finding", "FormatGuard", "Inspection", "Inspector"]
