"""Bytes in memory that came in pieces and leave in pieces of another size."""


class Pieces:
    """Holds bytes in their order, without joining them before they are asked for.

    Attributes:
        size: How many bytes are held.
    """

    def __init__(self, first: bytes = b"") -> None:
        self._pieces = [first] if first else []
        self.size = len(first)

    def append(self, piece: bytes) -> None:
        """Hold more bytes, after all others."""
        self._pieces.append(piece)
        self.size += len(piece)

    def prepend(self, piece: bytes) -> None:
        """Hold more bytes, before all others."""
        self._pieces.insert(0, piece)
        self.size += len(piece)

    def take(self, size: int) -> bytes:
        """Give up the first bytes, of which there must be as many as are asked for."""
        self.size -= size
        taken = []
        while size > 0:
            piece = self._pieces.pop(0)
            if len(piece) > size:
                self._pieces.insert(0, piece[size:])
                piece = piece[:size]
            taken.append(piece)
            size -= len(piece)
        return b"".join(taken)

    def joined(self) -> bytes:
        """Return all bytes; they stay."""
        return b"".join(self._pieces)

    def clear(self) -> None:
        """Let go of all bytes."""
        self._pieces, self.size = [], 0
