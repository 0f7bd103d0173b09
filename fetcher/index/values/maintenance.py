"""The values of the store's maintenance."""

import msgspec


class BlobState(msgspec.Struct, frozen=True, kw_only=True):
    """A blob as its row has it.

    Args:
        fault: None, or what was wrong when it was last read: `missing`, `corrupt`.
        note: Why it could not be brought back, and what an operator can do.
    """

    address: str
    size: int
    fault: str | None
    note: str | None = None
