"""Staged files and their durable, content-addressed home; the one room that knows the file system."""

from fetcher.store.filesystem.staged import Staged
from fetcher.store.filesystem.store import Store

__all__ = ["Staged", "Store"]
