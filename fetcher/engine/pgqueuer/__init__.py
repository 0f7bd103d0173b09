"""The engine of several hosts that lets pgqueuer choose who is woken for an import."""

from fetcher.engine.pgqueuer.engine import PgqueuerEngine

__all__ = ["PgqueuerEngine"]
