"""Parts of a disk that come out of order: what is given out is the disk, and memory is bounded."""

from hypothesis import given
from hypothesis import strategies as st

from fetcher.importer.receive import disk_order
from fetcher.importer.receive.disk_order import MAX_HELD_BYTES, DiskOrder

PARTS = st.lists(st.tuples(st.integers(0, 3), st.binary(min_size=1, max_size=40)), max_size=20)


@given(parts=PARTS, seed=st.randoms(use_true_random=False), tail=st.integers(0, 3_000_000))
def test_any_order_gives_the_disk(parts: list[tuple[int, bytes]], seed: object, tail: int) -> None:
    """Whatever the order, the disk comes out, with zeros where nothing came."""
    placed, disk = [], bytearray()
    for gap, data in parts:
        disk += bytes(gap)
        placed.append((len(disk), data))
        disk += data
    disk += bytes(tail)
    seed.shuffle(placed)  # type: ignore[attr-defined] # hypothesis gives a Random
    order, out = DiskOrder(), bytearray()
    for offset, data in placed:
        assert not order.is_late(offset)
        for piece in order.take(offset, data):
            out += piece
    for piece in order.finish(len(disk)):
        out += piece
    assert out == disk


def test_what_waits_is_bounded() -> None:
    """More than the bound is let go with zeros before it; what belongs there is late from then on."""
    order, out = DiskOrder(), 0
    for number in range(1, 18):
        out += sum(map(len, order.take(number << 20, bytes(1 << 20))))
    assert out == (MAX_HELD_BYTES + (1 << 20)) + (1 << 20)
    assert order.is_late(0)


def test_parts_that_wait_keep_no_block_alive() -> None:
    """A small part is copied: a view of it would hold the whole block."""
    order = DiskOrder()
    block = memoryview(bytes(disk_order.PIECE_BYTES))
    assert list(order.take(4096, block[:512])) == []
    assert [type(data) for _offset, data in order.take_held()] == [bytes]
