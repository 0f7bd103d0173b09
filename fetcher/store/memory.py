"""A store in memory: for tests, and for a look at what a store must do."""

import itertools
from collections.abc import AsyncIterator, Collection
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from tempfile import TemporaryDirectory

from fetcher.errors import StoreFailed, StoreFull
from fetcher.store import protocol
from fetcher.store.digest_locks import DigestLocks
from fetcher.store.protocol import StoredItem, Workplace
from fetcher.store.room import Room

READ_BYTES = 1_048_576


@dataclass(frozen=True, kw_only=True)
class Body:
    """The bytes of one blob, and which writing of them it is."""

    body: bytes
    generation: int
    written_at: datetime


class MemoryStaged:
    """Bytes on their way into a memory store.

    Args:
        store: Which holds these bytes until they are committed or discarded.
        body: Held already by an earlier process.
    """

    def __init__(self, store: "MemoryStore", name: str, body: bytearray) -> None:
        self.size = len(body)
        self.body = body
        self.is_moved = False
        self.is_open = True
        self._store = store
        self._name = name

    @property
    def name(self) -> str:
        """By which a later process finds them again."""
        return self._name

    def write(self, chunk: bytes) -> None:
        """Append bytes.

        Raises:
            StoreFull: There is no room for them.
            StoreFailed: They were closed.
        """
        if not self.is_open:
            raise StoreFailed(reason="write: the staged bytes are closed")
        if len(chunk) > self._store.unused_bytes():
            raise StoreFull
        self.body += chunk
        self.size += len(chunk)

    def write_at(self, chunk: bytes, offset: int) -> None:
        """Write bytes at a place of their own; what is between reads as zeros."""
        missing = offset + len(chunk) - self.size
        if missing > 0:
            self.write(bytes(missing))
        self.body[offset : offset + len(chunk)] = chunk

    def sync(self) -> None:
        """Do nothing: what is in memory is as durable as it gets."""

    def read_at(self, offset: int, length: int) -> bytes:
        """Read back what was written."""
        return bytes(self.body[offset : offset + length])

    def mark(self, size: int, digest: str) -> None:
        """Note how many bytes there are and their digest."""
        self._store.marks[self._name] = (size, digest)

    def park(self) -> None:
        """Leave the bytes to who reopens them."""
        self.close()

    def close(self) -> None:
        """Write no more; closing twice is nothing."""
        self.is_open = False
        self._store.marks.pop(self._name, None)

    def discard(self) -> None:
        """Close and remove them; what is gone already is fine."""
        self.close()
        self._store.staged.pop(self._name, None)


class MemoryStore(Room):
    """Keeps blobs in a dictionary, within as many bytes as it may hold.

    Args:
        total_bytes: What it may hold, staged and committed.
        reserve_bytes: How many of them imports may not be promised.
    """

    def __init__(self, total_bytes: int = 1 << 30, *, reserve_bytes: int = 0) -> None:
        super().__init__(lambda _total: reserve_bytes)
        self.staged: dict[str, bytearray] = {}
        self.marks: dict[str, tuple[int, str]] = {}
        self._total_bytes = total_bytes
        self._kept: dict[str, Body] = {}
        self._generations = itertools.count(1)
        self.holding = DigestLocks().holding

    @property
    def place(self) -> str:
        """Return what an operator calls this store."""
        return "memory"

    def unused_bytes(self) -> int:
        """Return how many bytes could still be written."""
        held = sum(map(len, self.staged.values())) + sum(len(kept.body) for kept in self._kept.values())
        return self._total_bytes - held

    def _measure(self) -> tuple[int, int]:
        return self.unused_bytes(), self._total_bytes

    async def stage(self, import_id: str, claim: int) -> MemoryStaged:
        """Begin an import's bytes.

        Raises:
            StoreFailed: Bytes of this claim are there already.
        """
        name = f"{import_id}.{claim}"
        if name in self.staged:
            raise StoreFailed(reason="stage: the name is taken")
        self.staged[name] = bytearray()
        return MemoryStaged(self, name, self.staged[name])

    async def reopen(self, name: str, size: int) -> MemoryStaged | None:
        """Take up parked bytes, made this long; None where they are gone."""
        body = self.staged.get(name)
        if body is None:
            return None
        del body[size:]
        body.extend(bytes(size - len(body)))
        return MemoryStaged(self, name, body)

    async def mark_of(self, name: str) -> tuple[int, str] | None:
        """Return the last mark of bytes that nobody closed; None where there is none."""
        return self.marks.get(name)

    async def read_back(self, staged: protocol.Staged, offset: int, length: int) -> bytes:
        """Read a part of staged bytes."""
        return staged.read_at(offset, length)

    async def settle(self, staged: protocol.Staged) -> None:
        """Do nothing: the bytes are as long as they are."""

    def workplace(self, staged: protocol.Staged) -> AbstractAsyncContextManager[Workplace]:
        """Give a program a copy of staged bytes, which goes at the end."""
        return self._place(staged.read_at(0, staged.size), f"{staged.name}.converted")

    @asynccontextmanager
    async def blob_workplace(self, address: str, name: str) -> AsyncIterator[Workplace]:
        """Give a program a copy of committed bytes, which goes at the end."""
        body = b"".join([chunk async for chunk in self.read(address)])
        async with self._place(body, name) as place:
            yield place

    @asynccontextmanager
    async def _place(self, body: bytes, name: str) -> AsyncIterator[Workplace]:
        with TemporaryDirectory() as folder:
            source = f"{folder}/source"
            with open(source, "wb") as file:  # noqa: ASYNC230, PTH123 - a fake, which knows no paths
                file.write(body)
            yield Workplace(source=source, target=f"{folder}/{name}", is_copy=True)

    async def take_result(self, place: Workplace) -> MemoryStaged:
        """Stage what a program has made."""
        staged = await self.stage(place.target.rpartition("/")[2], 0)
        try:
            with open(place.target, "rb") as file:  # noqa: ASYNC230, PTH123 - likewise
                staged.write(file.read())
        except OSError as error:
            staged.discard()
            raise StoreFailed(reason="stage: there is no result") from error
        return staged

    async def park(self, staged: protocol.Staged) -> None:
        """Leave staged bytes to who reopens them."""
        staged.park()

    async def discard(self, staged: protocol.Staged) -> None:
        """Remove staged bytes; discarding twice is nothing."""
        staged.discard()

    async def staged_names(self) -> list[str]:
        """Return what is staged."""
        return sorted(self.staged)

    async def remove_staged(self, name: str) -> None:
        """Remove what was left; what is gone already is fine."""
        self.staged.pop(name, None)
        self.marks.pop(name, None)

    async def adopt(self, address: str, size: int, spare: Collection[str]) -> str | None:
        """Stage a whole body again; None without a body of this size."""
        target = f"{address}.0"
        kept = self._kept.get(address)
        if len(self.staged.get(target, b"")) == size and target in self.staged:
            return target
        if kept is not None and len(kept.body) == size:
            del self._kept[address]
            self.staged[target] = bytearray(kept.body)
            return target
        for name in sorted(self.staged.keys() - set(spare)):
            if len(self.staged[name]) == size:
                self.staged[target] = self.staged.pop(name)
                return target
        return None

    async def commit(self, staged: protocol.Staged, address: str) -> None:
        """Make complete bytes findable, in place of equal ones; inside `holding(address)`.

        Raises:
            StoreFailed: The staged bytes are gone.
        """
        body = self.staged.pop(staged.name, None)
        if body is None:
            raise StoreFailed(reason="commit: the staged bytes are gone")
        staged.close()
        staged.is_moved = True
        self._kept[address] = Body(
            body=bytes(body), generation=next(self._generations), written_at=datetime.now(UTC)
        )

    async def remove(self, address: str) -> bool:
        """Remove bytes; readers that are open go on to the end."""
        self._kept.pop(address, None)
        return True

    async def retry_deletes(self) -> None:
        """Do nothing: whatever is removed goes at once."""

    async def items(self) -> list[StoredItem]:
        """Return every blob."""
        return [
            StoredItem(name=name, address=name, size=len(one.body))
            for name, one in sorted(self._kept.items())
        ]

    async def unclaimed(self) -> list[StoredItem]:
        """Return what is staged: nobody says who works on it."""
        return [
            StoredItem(name=name, address="", size=len(body)) for name, body in sorted(self.staged.items())
        ]

    async def remove_item(self, item: StoredItem) -> None:
        """Remove what was named."""
        self._kept.pop(item.address, None)
        await self.remove_staged(item.name)

    async def make_ballast(self) -> None:
        """Do nothing: removing takes no room."""

    async def give_up_ballast(self) -> bool:
        """Return False: there is none."""
        return False

    async def size(self, address: str) -> int | None:
        """Return how many bytes are kept; None when there are none."""
        kept = self._kept.get(address)
        return None if kept is None else len(kept.body)

    async def generation(self, address: str) -> int | None:
        """Return which writing of the bytes is kept; None when there is none."""
        kept = self._kept.get(address)
        return None if kept is None else kept.generation

    async def written_at(self, address: str) -> datetime | None:
        """Return when the bytes were written; None when there are none."""
        kept = self._kept.get(address)
        return None if kept is None else kept.written_at

    async def read(self, address: str, offset: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """Stream bytes, or a part of them.

        Raises:
            StoreFailed: They are not there.
        """
        kept = self._kept.get(address)
        if kept is None:
            raise StoreFailed(reason="read: there are no such bytes")
        end = len(kept.body) if length is None else min(len(kept.body), offset + length)
        for begin in range(offset, end, READ_BYTES):
            yield kept.body[begin : min(end, begin + READ_BYTES)]

    async def file_of(self, address: str, offset: int = 0) -> None:
        """Return None: there are no files here."""

    async def link(self, address: str, seconds: int, name: str) -> None:
        """Return None: nobody else reads this memory."""

    async def obstacles(self, max_bytes: int) -> list[str]:
        """Return why nothing could be written now; a full store is reported as by any other store."""
        del max_bytes
        return ["the store has no room"] if self.unused_bytes() <= 0 else []


# The type checker holds the fake against the protocol here: nothing in the service makes one.
_CHECKED: type[protocol.Store] = MemoryStore
