"""The keys of links where all hosts find them."""

from pathlib import Path

from fetcher.attest.links import FILE, FolderKeyStorage, KeyStorage
from fetcher.engine.protocol import Engine


class SharedKeyStorage:
    """Keys that all hosts have in common."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def read(self) -> bytes | None:
        """Ask the database."""
        return await self._engine.shared(FILE)

    async def replace(self, known: bytes | None, value: bytes) -> bytes:
        """Tell all hosts, unless another one was faster."""
        return await self._engine.share(FILE, known, value)


def key_storage_of(engine: Engine, folder: Path) -> KeyStorage:
    """Return the place of the keys of links: the database of all hosts, or a lone host's own folder."""
    return SharedKeyStorage(engine) if engine.is_shared else FolderKeyStorage(folder)
