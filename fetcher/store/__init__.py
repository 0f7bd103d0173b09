"""Staged files and their durable, content-addressed home; the one room that knows the file system."""

from fetcher.store.staged import Staged
from fetcher.store.store import Store

__all__ = ["Staged", "Store"]
