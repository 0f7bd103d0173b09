"""The loop: guards before lanes, and nothing lost where a source breaks off."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.errors import SourceTooSlow, TooManyBytes
from fetcher.guards.stream.size import ByteCap
from fetcher.model import BLOCK_BYTES
from fetcher.pipeline import PeerClock, WorkerPool, pull


class Pieces:
    """A peer that hands out given pieces, then an end or a failure."""

    def __init__(self, pieces: list[bytes], failure: Exception | None = None) -> None:
        self._pieces = list(pieces)
        self._failure = failure

    async def read(self) -> bytes:
        if self._pieces:
            return self._pieces.pop(0)
        if self._failure:
            raise self._failure
        return b""


async def run(
    pieces: list[bytes], *, cap: int, failure: Exception | None = None, at_once: int = 8
) -> list[bytes]:
    worker_pool = WorkerPool(threads=2, buffer_bytes=1 << 20, piece_bytes=at_once)
    seen: list[bytes] = []
    lanes = worker_pool.lanes([seen.append])
    try:
        clock = PeerClock(lambda: 0.0)
        await pull(
            Pieces(pieces, failure), [ByteCap(max_bytes=cap)], lanes, clock, piece_bytes=lambda: at_once
        )
    finally:
        try:
            await lanes.drain()
        finally:
            await lanes.close()
            worker_pool.close()
            run.seen = b"".join(seen)  # type: ignore[attr-defined] # noted on the function for the test to read
    return seen


@given(pieces=st.lists(st.binary(min_size=1, max_size=20), max_size=20))
async def test_bytes_arrive_whole_however_they_are_cut(pieces: list[bytes]) -> None:
    """What is stored is what was sent."""
    assert b"".join(await run(pieces, cap=1000)) == b"".join(pieces)


async def test_the_chunk_that_breaks_a_rule_goes_nowhere() -> None:
    """Guards first, then the write."""
    with pytest.raises(TooManyBytes):
        await run([b"abcdefgh", b"i"], cap=8)
    assert run.seen == b"abcdefgh"  # type: ignore[attr-defined] # see `run`


async def test_bytes_before_a_break_are_kept() -> None:
    """A resumed attempt goes on with the byte after the last one that came."""
    failure = SourceTooSlow(reason="silence")
    with pytest.raises(SourceTooSlow):
        await run([b"abc", b"de"], cap=100, failure=failure, at_once=100)
    assert run.seen == b"abcde"  # type: ignore[attr-defined] # see `run`


def test_the_peer_clock_runs_only_while_waiting() -> None:
    """Time spent on our own disk is never blamed on the peer."""
    now = [0.0]
    clock = PeerClock(lambda: now[0])
    clock.start()
    now[0] = 2.0
    assert clock() == 2.0
    clock.stop()
    now[0] = 100.0
    assert clock() == 2.0
    clock.start()
    now[0] = 101.0
    clock.stop()
    assert clock() == 3.0


@given(sizes=st.lists(st.integers(1, 20_000), min_size=1, max_size=30), failing=st.booleans())
async def test_what_is_carried_to_the_next_piece_is_not_lost(sizes: list[int], failing: bool) -> None:
    """The begun block at the end of a piece comes with the next one, also when the source breaks off."""
    pieces = [bytes([number % 256]) * size for number, size in enumerate(sizes)]
    failure = SourceTooSlow(reason="below the floor") if failing else None
    try:
        await run(pieces, cap=1 << 20, at_once=16_384, failure=failure)
    except SourceTooSlow:
        assert failing
    assert run.seen == b"".join(pieces)  # type: ignore[attr-defined] # see `run`


async def test_pieces_of_large_chunks_end_at_blocks() -> None:
    """Chunks as a fast source gives them, of any length, become pieces that direct writes can take."""
    chunks = [bytes([number]) * 50_001 for number in range(20)]
    seen = await run(chunks, cap=1 << 20, at_once=16_384)
    assert b"".join(seen) == b"".join(chunks)
    assert all(len(piece) % BLOCK_BYTES == 0 for piece in seen[:-1])
