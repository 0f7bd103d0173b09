"""The engine of several hosts on one PostgreSQL database: rows, advisory locks, LISTEN and NOTIFY."""

from fetcher.engine.postgres.engine import PostgresEngine

__all__ = ["PostgresEngine"]
