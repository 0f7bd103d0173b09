"""One multipart upload: parts on their way side by side, of all imports only so many at once."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait

from fetcher.errors import Failure, StoreFailed
from fetcher.store.s3.bucket import Bucket

COPY_BYTES = 1_073_741_824  # The most that the server is asked to copy in one request.
MAX_PARTS = 10_000


class Upload:
    """Sends the parts of one object; its methods block and belong into a worker thread.

    Args:
        places: One for each part that may be on its way, shared by all uploads of the store.
        arrived: Called, in whatever thread, when `arrived_bytes` has grown.

    Attributes:
        size: What was sent, or is on its way.
        arrived_bytes: How many bytes from the first on are at the server.
    """

    def __init__(
        self,
        bucket: Bucket,
        key: str,
        upload: str,
        places: threading.BoundedSemaphore,
        arrived: Callable[[], None],
    ) -> None:
        self.key = key
        self.id = upload
        self._arrived = arrived
        self.size = 0
        self.arrived_bytes = 0
        self._bucket = bucket
        self._places = places
        self._etags: list[str | None] = []
        self._sizes: list[int] = []
        self._whole = 0
        self._running: set[Future[None]] = set()
        self._failure: Failure | None = None

    def copy(self, source: str, size: int) -> None:
        """Have the server copy the first bytes of another object; at least as many as one part must have.

        Raises:
            StoreFailed: It does not.
        """
        begin = 0
        while begin < size:
            left = size - begin
            step = left if left < COPY_BYTES + self._bucket.place.least_part_bytes else COPY_BYTES
            number = self._next(step)
            work = self._bucket.copy_part(self.key, self.id, number, source, (begin, begin + step))
            self._has(number, self._bucket.run(work))
            begin += step

    def send(self, body: bytes) -> None:
        """Send a part; this waits while too many are on their way.

        Raises:
            StoreFull, StoreFailed: An earlier one was not taken.
        """
        self.check()
        self._places.acquire()
        number = self._next(len(body))
        sending = self._bucket.start(self._send(number, body))
        self._running.add(sending)
        sending.add_done_callback(self._done)

    async def _send(self, number: int, body: bytes) -> None:
        try:
            self._has(number, await self._bucket.put_part(self.key, self.id, number, body))
        except Failure as failure:
            self._failure = self._failure or failure

    def _done(self, sending: Future[None]) -> None:
        self._running.discard(sending)
        self._places.release()

    def _next(self, size: int) -> int:
        if len(self._etags) == MAX_PARTS:
            raise StoreFailed(reason=f"write: an object has at most {MAX_PARTS} parts; see bucket.part_bytes")
        self._etags.append(None)
        self._sizes.append(size)
        self.size += size
        return len(self._etags)

    def _has(self, number: int, etag: str) -> None:
        self._etags[number - 1] = etag
        before = self._whole
        while self._whole < len(self._etags) and self._etags[self._whole] is not None:
            self.arrived_bytes += self._sizes[self._whole]
            self._whole += 1
        if self._whole > before:
            self._arrived()

    def check(self) -> None:
        """Raise what kept a part from being taken."""
        if self._failure is not None:
            raise self._failure

    def drain(self) -> None:
        """Wait for what is on its way; raises what kept a part from being taken."""
        wait(self._running)
        self.check()

    def complete(self) -> None:
        """Make the object; raises StoreFailed where another process has ended the upload."""
        self.drain()
        etags = [etag for etag in self._etags if etag is not None]
        self._bucket.run(self._bucket.complete(self.key, self.id, etags, self.size))

    def stop(self) -> None:
        """Let go of what is on its way."""
        for sending in list(self._running):
            sending.cancel()
        wait(self._running)
