"""Zeros take no room in the store, and cost nothing where there are none."""

import asyncio
import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.model import BLOCK_BYTES
from fetcher.store import Store
from fetcher.store.filesystem.sparse import written_runs
from tests.images import raw

MIB = 1 << 20


def pieces() -> st.SearchStrategy[bytes]:
    """Runs of zeros and of other bytes, around the size of a block."""
    size = st.integers(1, 3 * BLOCK_BYTES)
    return st.one_of(
        size.map(bytes), size.map(lambda n: b"\x01" * n), size.map(lambda n: b"\0\x01" * (n // 2))
    )


@given(body=st.lists(pieces(), max_size=8).map(b"".join), offset=st.integers(0, 2 * BLOCK_BYTES))
def test_only_whole_aligned_zero_blocks_are_left_out(body: bytes, offset: int) -> None:
    """What is left out is zero, whole blocks and aligned; no such block is written."""
    rebuilt = bytearray(len(body))
    left_out: list[tuple[int, int]] = []
    at = 0
    for begin, end in written_runs(body, offset):
        assert at <= begin < end <= len(body)
        left_out.append((at, begin))
        rebuilt[begin:end] = body[begin:end]
        at = end
    left_out.append((at, len(body)))
    assert bytes(rebuilt) == body
    assert all((offset + begin) % BLOCK_BYTES == 0 for begin, end in left_out if begin < end)
    assert all((end - begin) % BLOCK_BYTES == 0 for begin, end in left_out)
    whole = range(-offset % BLOCK_BYTES, len(body) - BLOCK_BYTES + 1, BLOCK_BYTES)
    zero = sum(body[n : n + BLOCK_BYTES] == bytes(BLOCK_BYTES) for n in whole)
    assert zero * BLOCK_BYTES == sum(end - begin for begin, end in left_out)


@pytest.mark.parametrize(
    "body", [bytes(8 * MIB), raw(MIB) + bytes(6 * MIB) + raw(MIB)], ids=["empty", "middle"]
)
@pytest.mark.parametrize("chunk_bytes", [MIB, 100_003])
async def test_zeros_take_no_room(body: bytes, chunk_bytes: int, tmp_path: Path) -> None:
    """The file reads back byte for byte and takes only the room of what is not zero, however it is cut."""
    store = Store(tmp_path / "data", reserve=lambda _total: 0)
    store.open()
    staged = await store.stage("one", 1)
    for start in range(0, len(body), chunk_bytes):
        staged.write(body[start : start + chunk_bytes])
    sha256 = hashlib.sha256(body).hexdigest()
    async with store.holding(sha256):
        await store.commit(staged, sha256)
    path = store.blob_path(sha256)
    assert path.stat().st_size == len(body)
    assert path.read_bytes() == body
    assert path.stat().st_blocks * 512 <= len(body) - body.count(0) + MIB
    await asyncio.to_thread(store.close)
