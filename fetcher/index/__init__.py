"""What we know of images and imports; the one room that knows SQLite."""

from pathlib import Path
from types import TracebackType
from typing import Self

from fetcher.index.connection import Connection
from fetcher.index.images import ImageRecords
from fetcher.index.imports import FILTERS, IdempotencyKey, ImportRecords, NewImport, Secrets
from fetcher.index.pulls import Kept, PullRecords, Remembered
from fetcher.index.schema import migrate

__all__ = [
    "FILTERS",
    "IdempotencyKey",
    "ImageRecords",
    "ImportRecords",
    "Index",
    "Kept",
    "NewImport",
    "PullRecords",
    "Remembered",
    "Secrets",
]


class Index:
    """All records of the service, as domain verbs.

    Args:
        path: The SQLite file; made when missing.
    """

    def __init__(self, path: Path) -> None:
        self.connection = Connection(path, migrate)
        self.images = ImageRecords(self.connection)
        self.imports = ImportRecords(self.connection)
        self.pulls = PullRecords(self.connection)

    async def __aenter__(self) -> Self:
        """Open the file and bring it up to date.

        Raises:
            StoreFailed: The file cannot be opened or is no index of ours.
        """
        await self.connection.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write what waits and close."""
        await self.connection.close()
