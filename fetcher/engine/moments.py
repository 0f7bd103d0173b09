"""The moment at which something that every host makes by itself became what it is, the same for all."""

from datetime import UTC, datetime, timedelta

import msgspec

from fetcher.engine.protocol import Engine

STEP = timedelta(seconds=1)  # The moments of lists have no parts of a second.


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """The last of what was made.

    Args:
        digest: Of what it says.
    """

    digest: bytes
    at: datetime


async def moment_of(engine: Engine, name: str, digest: bytes) -> datetime:
    """Return since when something has been what it is now: whichever host saw it first has said so.

    Args:
        name: Of what all hosts make, such as the lists of public images.
        digest: Of what this host has made.

    Raises:
        StoreFailed: The database cannot be reached.
    """
    known = await engine.shared(name)
    found = None if known is None else msgspec.msgpack.decode(known, type=Made)
    if found is not None and found.digest == digest:
        return found.at
    now = datetime.now(UTC).replace(microsecond=0)
    # Later than the last one, whatever this host's clock says: nobody takes a newer list for an older one.
    made = Made(digest=digest, at=now if found is None else max(now, found.at + STEP))
    counts = await engine.share(name, known, msgspec.msgpack.encode(made))
    shared = msgspec.msgpack.decode(counts, type=Made)
    return shared.at if shared.digest == digest else made.at
