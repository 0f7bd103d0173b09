"""The verbs that the other rooms ask of a store: bytes by their digest, and bytes on their way there.

`tests/contract/test_store.py` says what each verb promises, and holds every
store against it. Nothing here knows of paths, inodes or descriptors, but for
`file_of`, which a store without files answers with None.
"""

from collections.abc import AsyncIterator, Collection
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from io import FileIO
from typing import Protocol

from fetcher.store.reservation import Reservation


@dataclass(frozen=True, kw_only=True)
class StoredItem:
    """One file or object in a store.

    Args:
        name: Within the store, for an operator.
        address: By which the index would know it; empty where it is no blob.
    """

    name: str
    address: str
    size: int


@dataclass(frozen=True, kw_only=True)
class Workplace:
    """Files of this machine, for a program that reads and writes files.

    Args:
        source: Holds staged bytes.
        target: Not there yet; what the program makes.
        is_copy: Whether the bytes were brought here from elsewhere for that.
    """

    source: str
    target: str
    is_copy: bool


@dataclass(frozen=True, kw_only=True)
class Space:
    """The room of a store, in bytes.

    Args:
        usable: Free less the reserve and what imports were promised.
    """

    total: int
    free: int
    usable: int

    @property
    def used(self) -> int:
        """Return what is taken already."""
        return self.total - self.free


class Staged(Protocol):
    """Bytes that are being received and that nobody else can see; its methods block.

    Attributes:
        size: How many they are.
        is_moved: They have become a blob, so that nothing is left to discard.
    """

    size: int
    is_moved: bool

    @property
    def name(self) -> str:
        """By which a later process finds them again."""

    def write(self, chunk: bytes) -> None:
        """Append bytes; raises StoreFull or StoreFailed."""

    def write_at(self, chunk: bytes, offset: int) -> None:
        """Write bytes at a place of their own, which may lie past the end: what is between reads as zeros.

        Raises StoreFull or StoreFailed.
        """

    def sync(self) -> None:
        """Make the bytes durable; raises StoreFull or StoreFailed."""

    def read_at(self, offset: int, length: int) -> bytes:
        """Read back what was written; raises StoreFailed."""

    def mark(self, size: int, digest: str) -> None:
        """Note beside the bytes how many there are and their digest, where the store can."""

    def park(self) -> None:
        """Make them durable and leave them to a later process; raises StoreFull or StoreFailed."""

    def close(self) -> None:
        """Write no more; closing twice is nothing."""

    def discard(self) -> None:
        """Close and remove them; what is gone already is fine."""


class Store(Protocol):
    """Keeps the bytes of images, each body once, under its address: a digest in hexadecimal.

    Which digest that is, and whether it is the right one, is for who receives and who reads.
    """

    @property
    def place(self) -> str:
        """Return what an operator calls this store."""

    async def stage(self, import_id: str, claim: int) -> Staged:
        """Begin an import's bytes; those of an equal claim are never taken over: StoreFailed."""

    async def reopen(self, name: str, size: int) -> Staged | None:
        """Take up parked bytes, made this long; None where they are gone."""

    async def mark_of(self, name: str) -> tuple[int, str] | None:
        """Return the last mark of bytes that nobody closed; None where there is none."""

    async def read_back(self, staged: Staged, offset: int, length: int) -> bytes:
        """Read a part of staged bytes."""

    async def settle(self, staged: Staged) -> None:
        """Make staged bytes readable as a whole; no byte is added afterwards."""

    def workplace(self, staged: Staged) -> AbstractAsyncContextManager[Workplace]:
        """Give a program staged bytes as a file, and a place for its result; both go at the end."""

    def blob_workplace(self, address: str, name: str) -> AbstractAsyncContextManager[Workplace]:
        """Give a program committed bytes as a file, and a place of this name for its result.

        Raises StoreFailed where the bytes are not there.
        """

    async def take_result(self, place: Workplace) -> Staged:
        """Stage what a program has made at a workplace; StoreFailed where there is nothing."""

    async def park(self, staged: Staged) -> None:
        """Make staged bytes durable and leave them to a later process."""

    async def discard(self, staged: Staged) -> None:
        """Remove staged bytes; discarding twice is nothing."""

    async def staged_names(self) -> list[str]:
        """Return what is staged, also by other processes."""

    async def remove_staged(self, name: str) -> None:
        """Remove what an earlier process left; what is gone already is fine."""

    async def adopt(self, address: str, size: int, spare: Collection[str]) -> str | None:
        """Stage the whole body of an import again that was cut off in its commit; None without a body."""

    async def commit(self, staged: Staged, address: str) -> None:
        """Make complete bytes durable and findable, in place of equal ones; inside `holding(address)`.

        The digest is the caller's word: bytes are judged by who receives and who reads them.
        """

    def holding(self, address: str) -> AbstractAsyncContextManager[None]:
        """Keep commit and removal of the same bytes apart."""

    async def remove(self, address: str) -> bool:
        """Remove bytes, or return False where they do not go yet; inside `holding(address)`.

        Readers that are open go on to the end; bytes that are unknown are gone.
        """

    async def retry_deletes(self) -> None:
        """Try once more to remove what did not go."""

    async def items(self) -> list[StoredItem]:
        """Return everything that lies among the blobs, whatever it is called, and what nothing leads to."""

    async def unclaimed(self) -> list[StoredItem]:
        """Return what is staged and what no process works on at this moment."""

    async def remove_item(self, item: StoredItem) -> None:
        """Remove what `items` or `unclaimed` has named; StoreFailed where it does not go."""

    async def make_ballast(self) -> None:
        """Hold the room that deletions need in a full store, where they need any."""

    async def give_up_ballast(self) -> bool:
        """Free that room if the store is full; False where it is not, or where none was held."""

    async def size(self, address: str) -> int | None:
        """Return how many bytes are kept; None when there are none."""

    async def generation(self, address: str) -> int | None:
        """Return what differs after the bytes were put in place anew; None when there are none."""

    async def written_at(self, address: str) -> datetime | None:
        """Return when the bytes were written; None when there are none."""

    def read(self, address: str, offset: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """Stream bytes, or a part of them; StoreFailed where they are not there or cannot be read."""

    async def file_of(self, address: str, offset: int = 0) -> FileIO | None:
        """Open the file that holds the bytes and nothing else, for the kernel to send; the caller closes it.

        Its byte at the offset has been read. None where the store keeps no files: then `read` is the way;
        StoreFailed where the bytes are not there or cannot be read.
        """

    async def link(self, address: str, seconds: int, name: str) -> str | None:
        """Return a signed URL that gives the bytes to anybody for so long; None where there is none."""

    async def obstacles(self, max_bytes: int) -> list[str]:
        """Return each reason why this many bytes could not be written now; none names a path."""

    def free_bytes(self) -> int:
        """Return what may still be promised; negative where the reserve is touched."""

    def space(self) -> Space:
        """Return how full the store is."""

    def reserve(self, owner: str = "") -> AbstractContextManager[Reservation]:
        """Hold room for one import, an owner's among others of theirs; its verbs raise StoreFull."""
