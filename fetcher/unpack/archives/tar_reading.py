"""Steps of reading a tar, and the failure of one that breaks a rule."""

from collections.abc import Generator

from fetcher.errors import UnpackFailed
from fetcher.parsers.archives.tar_headers import BLOCK_BYTES
from fetcher.unpack.steps import Exactly, Step, Steps
from fetcher.unpack.values import NOT_WHOLE

CUT_SHORT = "the archive ends in the middle"
EXPORT = "Make the archive anew, for example with GNU tar, or unpack it and submit the disk image."

Read = Generator[Step, bytes | memoryview, bytes]


def exactly(length: int) -> Read:
    """Read so many bytes, all of them.

    Raises:
        UnpackFailed: The archive ends before.
    """
    if not length:
        return b""
    data = yield Exactly(length)
    if len(data) < length:
        raise broken("cut-short", CUT_SHORT)
    return bytes(data)


def padded(length: int) -> Read:
    """Read the content of an extended header and what fills its last block."""
    data = yield from exactly(length)
    yield from padding(length)
    return data


def padding(length: int) -> Steps:
    """Step over what fills the last block of a member."""
    yield from exactly(-length % BLOCK_BYTES)


def broken(rule: str, reason: str) -> UnpackFailed:
    """Make the failure of a tar that breaks a rule; what is not whole is to be fetched again."""
    if rule in NOT_WHOLE:
        return UnpackFailed(packing="tar", rule=rule, reason=reason)
    return UnpackFailed(packing="tar", rule=rule, reason=reason, hint=EXPORT)
