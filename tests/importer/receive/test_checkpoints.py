"""Checkpoints: what is both durable and digested."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from fetcher.importer.receive.checkpoints import Checkpoints


@given(
    pieces=st.lists(st.binary(min_size=1, max_size=40), max_size=30),
    lead=st.lists(st.booleans(), max_size=90),
    step=st.integers(1, 50),
)
def test_a_checkpoint_is_durable_and_its_digest_right(
    pieces: list[bytes], lead: list[bool], step: int
) -> None:
    """Whichever of digest and write is ahead, what is told could be gone on from after a crash."""
    durable, marks = [0], []
    points = Checkpoints(step, lambda: durable.append(written), lambda: marks.append(1))
    body, hasher = b"".join(pieces), hashlib.sha256()
    hashed = written = 0
    queues = [list(pieces), list(pieces)]
    for is_hash in [*lead, *[True] * len(pieces), *[False] * len(pieces)]:
        queue = queues[not is_hash]
        if not queue:
            continue
        piece = queue.pop(0)
        if is_hash:
            hasher.update(piece)
            hashed += len(piece)
            points.digested(hashed - len(piece), hashed, hasher.hexdigest)
        else:
            written += len(piece)
            points.written(written - len(piece), written)
        latest = points.latest()
        if latest is not None:
            assert latest.size <= min(durable[-1], hashed)
            assert latest.digest == hashlib.sha256(body[: latest.size]).hexdigest()
    found = points.latest()
    assert (found.size if found else 0) > len(body) - step - 40 or len(body) < step
    assert bool(marks) == (found is not None)
