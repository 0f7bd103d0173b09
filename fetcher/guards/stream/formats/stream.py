"""Hands a generator the windows of a stream it asks for, and keeps the last bytes; nothing else."""

from collections import deque

from fetcher.guards.stream.formats.report import LARGEST_WINDOW, End, Steps, Window
from fetcher.guards.stream.formats.work import SHORT_BYTES, Work

TAIL_BYTES = 66_560  # A zip's end record with the longest comment, and the directory of one member.
LARGEST_KEPT = 262_144  # Longer chunks are cut, so that a reference cannot hold megabytes.
SMALLEST_KEPT = 4_096  # Shorter chunks are gathered, so that objects do not outweigh bytes.
MAX_SPARE = 16_384  # More than this before the end is cut off: a thousand slow imports each hold one.
NEVER = 1 << 63
ALL = 1 << 62  # Units of work: as many as it takes.


def cost(size: int) -> int:
    """Return the units of work that a piece of this size makes at most: a unit is a few microseconds."""
    return 1 + size // SHORT_BYTES


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
        if spare > MAX_SPARE:
            chunks[0] = chunks[0][spare:]
            self._held -= spare

    def read(self) -> bytes:
        """Return the last `TAIL_BYTES` bytes, or all if there are fewer."""
        return b"".join((*self._chunks, self._small))[-TAIL_BYTES:]

    @property
    def retained_bytes(self) -> int:
        """Return how many bytes are kept alive."""
        return self._held + len(self._small)


def behind_head(head: bytes, steps: Steps, work: Work, *, is_all: bool) -> Steps:
    """Serve windows from a head that was read before, and ask for those that reach behind it.

    A window that comes back shorter than asked for is the last: the stream has ended.

    Args:
        head: The beginning of the stream; let go of as soon as nothing more is wanted from it.
        steps: Asks for windows.
        work: What the windows in the head are paid from.
        is_all: The stream ends with the head.

    Raises:
        WorkExceeded: The budget is spent.
    """
    size, last = len(head), -LARGEST_WINDOW
    try:
        want = next(steps)
        while True:
            piece = head[want.offset : want.offset + max(want.length, want.most)]
            missing = want.length - len(piece)
            if missing > 0 and not is_all:
                more = want.most - len(piece) if want.most else 0
                piece += yield Window(max(want.offset, size), missing, more)
            elif not want.most:
                work.step(want.offset - last)
            last = want.offset
            if last >= size:
                head = b""
            is_last = len(piece) < want.length
            want = steps.send(piece)
            if is_last:
                return
    except StopIteration:
        return


class Reader:
    """Drives one generator of windows over a stream that comes in any chunks.

    A window is at most 64 KiB and begins at or after the end of the one
    before, so that what the generator sees does not depend on the chunks;
    what more than that an open window takes (`most`) may be asked for again.

    Args:
        steps: Asks for windows; may raise what its owner wants to see.
        work: The budget of the import.

    Attributes:
        seen_bytes: How many bytes have come.
        served: How many windows have been served.
        worked_units: What that has cost.
    """

    def __init__(self, steps: Steps, work: Work | None = None) -> None:
        self._steps = steps
        self._work = work or Work()
        self._held = bytearray()  # What lies at the beginning of the window that is wanted.
        self._tail = Tail()
        self._chunk = b""
        self._chunk_at = 0
        self._want: Window | None = None
        self._next_byte = NEVER
        self.seen_bytes = 0
        self.served = 0
        self.worked_units = 0
        self._set(next(steps), Window(-LARGEST_WINDOW, 1), b"")

    def _set(self, want: Window, former: Window, seen: bytes) -> None:
        """Want a window; of those bytes that were seen last, keep what belongs to it."""
        forward = want.offset - former.offset
        if forward < (0 if former.most else former.length) or want.offset < 0:
            raise ValueError(f"a window that cannot be served: {want}, after {former}")
        if not 1 <= want.length <= LARGEST_WINDOW or want.most > LARGEST_WINDOW:
            raise ValueError(f"a window that cannot be served: {want}")
        if not want.most:
            self._work.step(forward)
        self._held = bytearray(seen[forward:])
        self._want = want
        self._next_byte = want.offset + len(self._held)

    def stop(self) -> None:
        """Serve no more windows."""
        self._want = None
        self._next_byte = NEVER
        self._held = bytearray()
        self._chunk = b""

    def feed(self, chunk: bytes) -> None:
        """Take the next chunk, and serve what it can."""
        self.offer(chunk)
        self.serve(ALL)

    def offer(self, chunk: bytes) -> None:
        """Take the next chunk; `serve` has to serve the windows in it before the one after."""
        self._chunk_at = self.seen_bytes
        self.seen_bytes += len(chunk)
        if self.seen_bytes > self._next_byte:
            self._chunk = chunk
        self._tail.add(chunk)

    def serve(self, units: int) -> bool:
        """Serve windows from the chunk that was offered; return whether all of them are.

        Args:
            units: How much work may be done; where it is not enough, the next call goes on.

        Raises:
            WorkExceeded: The budget of the import is spent.
        """
        while self._want is not None and self._next_byte < self.seen_bytes:
            want = self._want
            room = max(max(want.length, want.most) - len(self._held), 0)
            start = self._next_byte - self._chunk_at
            piece = self._chunk[start : start + room]
            size = len(self._held) + len(piece)
            if size < want.length:
                self._held += piece
                self._next_byte = self.seen_bytes
                break
            price = cost(size)
            if price > units:
                return False
            units -= price
            self.worked_units += price
            self._deliver(want, bytes(self._held) + piece if self._held else piece)
        self._chunk = b""
        return True

    def _deliver(self, want: Window, seen: bytes) -> None:
        self.served += 1
        size = max(want.length, want.most)
        try:
            following = self._steps.send(seen if len(seen) <= size else seen[:size])
        except StopIteration:
            self.stop()
        else:
            self._set(following, want, seen)

    def finish(self) -> End:
        """Send what there is of each window still asked for, until the generator ends."""
        while self._want is not None:
            was_empty = not self._held
            self._deliver(self._want, bytes(self._held))
            if was_empty and self._want is not None:
                raise ValueError("a window is asked for after the end of the stream")
        return End(self.seen_bytes, self._tail.read())

    @property
    def retained_bytes(self) -> int:
        """Return how many bytes are kept alive."""
        return self._tail.retained_bytes + len(self._held)
