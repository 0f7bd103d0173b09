"""What several hosts of one service must know of each other; on one host, next to nothing."""

from fetcher.engine.local import LocalEngine
from fetcher.engine.opening import open_engine

__all__ = ["LocalEngine", "open_engine"]
