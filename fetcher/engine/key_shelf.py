"""The keys of links where all hosts find them."""

from pathlib import Path

from fetcher.attest.links import FILE, FolderShelf, KeyShelf
from fetcher.engine.protocol import Engine


class SharedShelf:
    """Keys that all hosts have in common."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def read(self) -> bytes | None:
        """Ask the database."""
        return await self._engine.shared(FILE)

    async def replace(self, known: bytes | None, value: bytes) -> bytes:
        """Tell all hosts, unless another one was faster."""
        return await self._engine.share(FILE, known, value)


def shelf_of(engine: Engine, folder: Path) -> KeyShelf:
    """Return the place of the keys of links: the database of all hosts, or a lone host's own folder."""
    return SharedShelf(engine) if engine.is_shared else FolderShelf(folder)
