"""The bytes of an image on their way out: digested as they go, so that damaged ones never arrive whole."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec

from fetcher.errors import BytesDamaged

SMALL_BYTES = 65_536
Read = Callable[[int, int], AsyncIterator[bytes]]


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A part of what is sent.

    Args:
        sha256: Of its bytes.
    """

    offset: int
    size: int
    sha256: str


class Reading:
    """Reads what is sent in one attempt.

    Args:
        read: Begins reading at an offset, so many bytes.
        size: Of all of it.
        sha256: Of all of it.
        sent: Called now and then with the number of bytes of all parts that have been asked for.
    """

    def __init__(self, read: Read, size: int, sha256: str, sent: Callable[[int], Awaitable[None]]) -> None:
        self._read = read
        self.size = size
        self.sha256 = sha256
        self.sent = sent
        self._surveyed, self._digest = 0, hashlib.sha256()
        self._failures: list[Exception] = []
        self._gone: dict[int, int] = {}  # Bytes of each part, by its offset: several may be under way.
        self._gone_bytes = 0

    def begin(self) -> None:
        """Begin an attempt: what failed before is forgotten, and what was sent counts anew."""
        self._failures.clear()
        self._gone.clear()
        self._gone_bytes = 0

    @property
    def failure(self) -> Exception | None:
        """Return what kept the bytes from being read; the transport reports only that its body broke off."""
        return self._failures[0] if self._failures else None

    def whole(self) -> AsyncIterator[bytes]:
        """Read from the first byte; the last chunk comes only if all of them have the right digest.

        Raises:
            BytesDamaged: They have not; the receiver got fewer bytes than were announced to it.
            StoreFailed: They cannot be read.
        """
        return self.part(Part(offset=0, size=self.size, sha256=self.sha256))

    async def part(self, part: Part) -> AsyncIterator[bytes]:
        """Read one part; its last chunk comes only if the part has the right digest; raises as `whole`."""
        try:
            async for chunk in self._judged(part):
                yield chunk
        except Exception as error:
            self._failures.append(error)
            raise

    async def skip(self, part: Part) -> None:
        """Count a part that the receiver has already."""
        await self._count(part, part.size)

    async def survey(self, offset: int, size: int) -> Part:
        """Digest the next part; parts are surveyed in order, and the last one only if the whole is right.

        Raises:
            BytesDamaged: The whole has another digest.
            StoreFailed: The bytes cannot be read.
        """
        if offset == 0:
            self._surveyed, self._digest = 0, hashlib.sha256()
        assert offset == self._surveyed
        digest = hashlib.sha256()
        async for chunk in self._read(offset, size):
            await feed(chunk, digest, self._digest)
            self._surveyed += len(chunk)
        is_short = self._surveyed != offset + size
        if is_short or (self._surveyed == self.size and self._digest.hexdigest() != self.sha256):
            raise BytesDamaged(fault="corrupt")
        return Part(offset=offset, size=size, sha256=digest.hexdigest())

    async def parts(self, part_bytes: int) -> AsyncIterator[Part]:
        """Survey all parts, each when it is asked for."""
        for offset in range(0, max(1, self.size), part_bytes):
            yield await self.survey(offset, min(part_bytes, self.size - offset))

    async def between(self, before: bytes, after: bytes, *, sha256: str | None = None) -> "Reading":
        """Return the same bytes between others, such as those of an archive.

        Args:
            sha256: Of all of it, where that is known already; else all is read for it.

        Raises:
            BytesDamaged: The bytes have another digest.
            StoreFailed: They cannot be read.
        """

        async def sent(count: int) -> None:
            await self.sent(max(0, min(self.size, count - len(before))))

        size = len(before) + self.size + len(after)
        if sha256 is None:
            digest = hashlib.sha256(before)
            async for chunk in self.whole_unreported():
                await feed(chunk, digest)
            digest.update(after)
            sha256 = digest.hexdigest()
        found = Reading(_between(before, self._read, self.size, after), size, sha256, sent)
        found._failures = self._failures
        return found

    async def whole_unreported(self) -> AsyncIterator[bytes]:
        """Read all bytes without reporting progress; raises as `whole`."""
        digest = hashlib.sha256()
        async for chunk in self._read(0, self.size):
            await feed(chunk, digest)
            yield chunk
        if digest.hexdigest() != self.sha256:
            raise BytesDamaged(fault="corrupt")

    async def _judged(self, part: Part) -> AsyncIterator[bytes]:
        digest, held, count = hashlib.sha256(), b"", 0
        async for chunk in self._read(part.offset, part.size):
            if held:
                yield held
                await self._count(part, count)
            await feed(chunk, digest)
            held, count = chunk, count + len(chunk)
        if count != part.size or digest.hexdigest() != part.sha256:
            raise BytesDamaged(fault="corrupt")
        if held:
            yield held
        await self._count(part, count)

    async def _count(self, part: Part, count: int) -> None:
        """Tell how much is gone of all parts; one that is read once more counts once."""
        self._gone_bytes += count - self._gone.get(part.offset, 0)
        self._gone[part.offset] = count
        await self.sent(self._gone_bytes)


async def feed(chunk: bytes, *digests: "hashlib._Hash") -> None:
    """Digest a chunk beside the loop, which serves others meanwhile; a small one is not worth the way."""

    def work() -> None:
        for digest in digests:
            digest.update(chunk)

    if len(chunk) < SMALL_BYTES:
        work()
    else:
        await asyncio.to_thread(work)


def _between(before: bytes, read: Read, size: int, after: bytes) -> Read:
    """Return what reads bytes between others."""

    async def read_all(offset: int, length: int) -> AsyncIterator[bytes]:
        end = offset + length
        if offset < len(before):
            yield before[offset:end]
        first, last = max(offset - len(before), 0), min(end - len(before), size)
        if first < last:
            async for chunk in read(first, last - first):
                yield chunk
        first, last = max(offset - len(before) - size, 0), end - len(before) - size
        if first < last:
            yield after[first:last]

    return read_all
