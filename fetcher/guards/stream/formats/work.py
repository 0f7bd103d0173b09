"""The cost of looking at hostile bytes, counted in steps and bytes, never in time.

A step that moves on by 64 bytes or more is paid for by those bytes: a source that wants to cost more has
to send more. Steps that move on by less are counted: an import has a fixed number of them, and one more for
each mebibyte that it unpacks to. So nothing that a source sends costs more than some nanoseconds for each
byte of it, and a few hundredths of a second besides.
"""

SHORT_BYTES = 64
UNPACKED_BYTES = 1_048_576  # For which there is a short step more: `zstd -3` of zeros takes three for eight.
MAX_SHORT_STEPS = 16_384
"""Far above what honest images need: repeated blocks, as of packed zeros, count once."""


class WorkExceeded(Exception):  # not an error of ours: the bytes are refused by it
    """The budget of an import is spent."""


class Work:
    """The budget of one import.

    Args:
        most: How many short steps there may be; exactly so many pass.

    Attributes:
        short_steps: How many there were.
        unpacked_bytes: What those blocks unpack to that say so themselves.
    """

    def __init__(self, most: int = MAX_SHORT_STEPS) -> None:
        self.most = most
        self.short_steps = 0
        self.unpacked_bytes = 0

    def step(self, forward: int) -> None:
        """Count a step that moves on by so many bytes.

        Raises:
            WorkExceeded: It is one short step too many.
        """
        if forward < SHORT_BYTES:
            self.spend(1)

    def spend(self, short_steps: int) -> None:
        """Count short steps.

        Raises:
            WorkExceeded: They are too many.
        """
        self.short_steps += short_steps
        if self.short_steps > self.most + self.unpacked_bytes // UNPACKED_BYTES:
            raise WorkExceeded
