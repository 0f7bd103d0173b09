"""Small pieces on their way into a thread, joined: each hand-over costs as much as many kilobytes do."""

MAX_BYTES = 524_288


class Gathering:
    """Chunks that wait until there are enough of them; few at the beginning, which is looked at first."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._size = 0
        self._taken_bytes = 0

    def add(self, chunk: bytes) -> None:
        """Take the next bytes."""
        self._chunks.append(chunk)
        self._size += len(chunk)

    @property
    def is_enough(self) -> bool:
        """Return whether they are worth a hand-over."""
        return self._size >= min(MAX_BYTES, max(1, self._taken_bytes))

    def take(self) -> bytes:
        """Return all of them."""
        chunks, self._chunks = self._chunks, []
        self._taken_bytes += self._size
        self._size = 0
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)
