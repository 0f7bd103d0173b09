"""Knowledge that several hosts of one service must have of each other; on one host, next to none."""

from fetcher.engine.local import LocalEngine
from fetcher.engine.opening import open_engine

__all__ = ["LocalEngine", "open_engine"]
