"""Keys of a bucket, and the small documents beside the bytes.

    blobs/ab/SHA256        which object holds the bytes of that digest
    staging/NAME           how far an import's bytes have come, and where they are
    tails/NAME/UNIQUE      the end of parked bytes that is too short for a part
    objects/NAME/UNIQUE    bytes, staged and committed alike: they are never copied for getting their digest

An object never stands without a record in `staging/` or `blobs/` that names it:
the record is written first and removed last.
"""

from uuid import uuid4

import msgspec

from fetcher.store.s3.wire import faults


class Pointer(msgspec.Struct, frozen=True, kw_only=True):
    """The object that holds the bytes of a digest.

    Args:
        generation: Another one after the bytes were put in place anew.
    """

    key: str
    size: int
    generation: int


class StagedRecord(msgspec.Struct, kw_only=True):
    """The state of an import's bytes.

    Args:
        host: Of the process that staged them.
        token: Of the staging, which makes the record like no other.
        base: The object that holds the first bytes; empty where none does.
        base_size: How many of them are these bytes'.
        is_cut: The object holds more than that.
        key: The object that an open upload, or a write, will make.
        upload: The open upload; empty where there is none.
        tail: The object with the bytes after `tail_at`; empty where there is none.
        mark_size: How many bytes had this digest when it was last noted.
        address: Of the whole, from the moment at which it is committed; in the record by its name of old.
    """

    host: str
    token: str = msgspec.field(default_factory=lambda: uuid4().hex)
    base: str = ""
    base_size: int = 0
    is_cut: bool = False
    key: str = ""
    upload: str = ""
    tail: str = ""
    tail_at: int = 0
    tail_size: int = 0
    mark_size: int = 0
    mark_digest: str = msgspec.field(default="", name="mark_sha256")
    address: str = msgspec.field(default="", name="sha256")

    @property
    def has_tail(self) -> bool:
        """Return whether the tail holds bytes that come after the base, or replace its end."""
        return bool(self.tail) and self.tail_at <= self.base_size < self.tail_at + self.tail_size

    @property
    def size(self) -> int:
        """Return how many bytes there are, of those that can be read."""
        return self.tail_at + self.tail_size if self.has_tail else self.base_size

    def cut(self, size: int) -> "StagedRecord":
        """Return the same with fewer bytes; what was beyond them is never read again."""
        base_size = min(size, self.tail_at) if self.has_tail else min(size, self.base_size)
        return msgspec.structs.replace(
            self,
            base_size=base_size,
            is_cut=self.is_cut or base_size < self.base_size,
            tail_size=max(0, size - self.tail_at) if self.has_tail else 0,
        )

    def named(self) -> list[str]:
        """Return every object that it names."""
        return [key for key in (self.base, self.key, self.tail) if key]


def blob_key(address: str) -> str:
    """Return where the pointer of a digest lies, or would."""
    return f"blobs/{address[:2]}/{address}"


def staging_key(name: str) -> str:
    """Return where the record of staged bytes lies, or would."""
    return f"staging/{name}"


def object_key(name: str) -> str:
    """Return a new place for bytes, which nobody else will ever write to."""
    return f"objects/{name}/{uuid4().hex}"


def tail_key(name: str) -> str:
    """Return a new place for the end of parked bytes."""
    return f"tails/{name}/{uuid4().hex}"


def pointer_in(body: bytes) -> Pointer:
    """Read a pointer; raises StoreFailed where it is none."""
    try:
        return msgspec.json.decode(body, type=Pointer)
    except msgspec.MsgspecError:
        faults.raise_damaged("read")


def record_in(body: bytes) -> StagedRecord:
    """Read a record of staged bytes; raises StoreFailed where it is none."""
    try:
        return msgspec.json.decode(body, type=StagedRecord)
    except msgspec.MsgspecError:
        faults.raise_damaged("read")
