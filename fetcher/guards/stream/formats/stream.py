"""Hands a generator the windows of a stream it asks for, and keeps the last bytes; nothing else."""

from collections import deque

from fetcher.guards.stream.formats.report import HEAD_BYTES, LARGEST_WINDOW, End, Steps, Window

TAIL_BYTES = 65_557  # What a zip's end record can take with the longest comment.
LARGEST_KEPT = 262_144  # Longer chunks are cut, so that a reference cannot hold megabytes.
SMALLEST_KEPT = 4_096  # Shorter chunks are gathered, so that objects do not outweigh bytes.
MOST_SPARE = 16_384  # More than this before the end is cut off: a thousand slow imports each hold one.
MOST_WINDOWS = 262_144  # A third of a second of work; 32 GiB that zstd packed into its largest blocks.
MOST_WINDOW_BYTES = 67_108_864  # The tables of a QCOW2 disk of 512 GiB.
NEVER = 1 << 63


class Tail:
    """The last bytes of a stream, as references to its last chunks."""

    def __init__(self) -> None:
        self._chunks: deque[bytes] = deque()
        self._held = 0
        self._small = bytearray()

    def add(self, chunk: bytes) -> None:
        """Take the next chunk and let go of what is no longer the end."""
        size = len(chunk)
        if size < SMALLEST_KEPT:
            self._small += chunk
            if len(self._small) >= SMALLEST_KEPT:
                self._gather()
            return
        if self._small:
            self._gather()
        if size > LARGEST_KEPT:
            chunk = chunk[-TAIL_BYTES:]
            size = TAIL_BYTES
        self._push(chunk, size)

    def _gather(self) -> None:
        self._push(bytes(self._small), len(self._small))
        self._small.clear()

    def _push(self, chunk: bytes, size: int) -> None:
        chunks = self._chunks
        chunks.append(chunk)
        self._held += size
        while self._held - len(chunks[0]) >= TAIL_BYTES:
            self._held -= len(chunks.popleft())
        spare = self._held - TAIL_BYTES
        if spare > MOST_SPARE:
            chunks[0] = chunks[0][spare:]
            self._held -= spare

    def read(self) -> bytes:
        """Return the last `TAIL_BYTES` bytes, or all if there are fewer."""
        return b"".join((*self._chunks, self._small))[-TAIL_BYTES:]

    @property
    def retained_bytes(self) -> int:
        """How many bytes are kept alive."""
        return self._held + len(self._small)


def behind_head(head: bytes, steps: Steps) -> Steps:
    """Serve windows from a head that was read before, and ask for those that reach behind it.

    A window that comes back shorter than asked for is the last: the stream has ended. So is one
    past the budget: what a stream makes us look at is bounded, however it is built.
    """
    served = looked_at = 0
    try:
        want = next(steps)
        while served < MOST_WINDOWS and looked_at < MOST_WINDOW_BYTES:
            served += 1
            looked_at += want.length
            piece = head[want.offset : want.end]
            missing = want.length - len(piece)
            if missing and len(head) == HEAD_BYTES:
                piece += yield Window(want.end - missing, missing)
            is_last = len(piece) < want.length
            want = steps.send(piece)
            if is_last:
                return
    except StopIteration:
        return


class Reader:
    """Drives one generator of windows over a stream that comes in any chunks.

    A window is at most 64 KiB and begins at or after the end of the one
    before, so that what the generator sees does not depend on the chunks.

    Args:
        steps: Asks for windows; may raise what its owner wants to see.

    Attributes:
        seen_bytes: How many bytes have come.
        served: How many windows have been served, which is what all of this costs.
    """

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self._held = bytearray()
        self._tail = Tail()
        self._want: Window | None = None
        self._next_byte = NEVER
        self.seen_bytes = 0
        self.served = 0
        self._set(next(steps))

    def _set(self, want: Window) -> None:
        floor = self._want.end if self._want else 0
        if want.offset < floor or not 1 <= want.length <= LARGEST_WINDOW:
            raise ValueError(f"a window that cannot be served: {want}, after {floor}")
        self._want = want
        self._next_byte = want.offset

    def stop(self) -> None:
        """Serve no more windows."""
        self._want = None
        self._next_byte = NEVER
        self._held = bytearray()

    def feed(self, chunk: bytes) -> None:
        """Take the next chunk."""
        start = self.seen_bytes
        self.seen_bytes = stop = start + len(chunk)
        if stop > self._next_byte:
            self._serve(chunk, start, stop)
        self._tail.add(chunk)

    def _serve(self, chunk: bytes, start: int, stop: int) -> None:
        while self._want is not None and self._next_byte < stop:
            want = self._want
            piece = chunk[self._next_byte - start : want.end - start]
            if want.end > stop:
                self._held += piece
                self._next_byte = stop
                return
            self._deliver(bytes(self._held) + piece if self._held else piece)

    def _deliver(self, window: bytes) -> None:
        self._held = bytearray()
        self.served += 1
        try:
            self._set(self._steps.send(window))
        except StopIteration:
            self.stop()

    def finish(self) -> End:
        """Send what there is of each window still asked for, until the generator ends."""
        while self._want is not None:
            was_empty = not self._held
            self._deliver(bytes(self._held))
            if was_empty and self._want is not None:
                raise ValueError("a window is asked for after the end of the stream")
        return End(self.seen_bytes, self._tail.read())

    @property
    def retained_bytes(self) -> int:
        """How many bytes are kept alive."""
        return self._tail.retained_bytes + len(self._held)
