"""Windows of a stream, and its tail: what is served does not depend on the chunks, and little is kept."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fetcher.guards.stream.formats.report import HEAD_BYTES, Steps, Window
from fetcher.guards.stream.formats.stream import (
    MAX_SPARE,
    SMALLEST_KEPT,
    TAIL_BYTES,
    Reader,
    Tail,
    behind_head,
)
from fetcher.guards.stream.formats.work import Work

STREAM = bytes(number * 7 % 251 for number in range(300_000))


def asking(windows: list[Window], got: list[bytes]) -> Steps:
    """Ask for windows one after the other, and keep what comes."""
    for window in windows:
        piece = yield window
        got.append(piece)


def cut(stream: bytes, size: int) -> list[bytes]:
    """Cut a stream into chunks."""
    return [stream[at : at + size] for at in range(0, len(stream), size)]


@settings(max_examples=40, deadline=None)
@given(data=st.data(), size=st.integers(1, 200_000))
def test_windows_are_served_whole(data: st.DataObject, size: int) -> None:
    """Each window comes in one piece with the bytes that lie there, however the chunks fall."""
    windows, at = [], 0
    for _ in range(data.draw(st.integers(1, 5))):
        at += data.draw(st.integers(0, 40_000))
        windows.append(Window(at, data.draw(st.integers(1, 20_000))))
        at = windows[-1].end
    got: list[bytes] = []
    reader = Reader(asking(windows, got))
    for chunk in cut(STREAM, max(size, 300)):
        reader.feed(chunk)
    assert got == [STREAM[window.offset : window.end] for window in windows]
    assert reader.served == len(windows)


def test_last_window_comes_short() -> None:
    """A window that reaches behind the end is served with what there is."""
    got: list[bytes] = []
    reader = Reader(asking([Window(5, 10)], got))
    reader.feed(b"01234567")
    end = reader.finish()
    assert got == [b"567"]
    assert end == (8, b"01234567")


@pytest.mark.parametrize("windows", [[Window(10, 5), Window(12, 5)], [Window(0, 0)], [Window(0, 65_537)]])
def test_windows_only_go_forward(windows: list[Window]) -> None:
    """A window that cannot be served is a fault, not a wait for ever."""
    with pytest.raises(ValueError, match="cannot be served"):
        Reader(asking(windows, [])).feed(STREAM)


def test_asking_on_after_the_end_is_a_fault() -> None:
    """A generator that does not end with its stream is stopped."""
    reader = Reader(asking([Window(0, 10)] * 1 + [Window(10 + n, 1) for n in range(5)], []))
    reader.feed(b"0123456789")
    with pytest.raises(ValueError, match="after the end"):
        reader.finish()


@settings(max_examples=30, deadline=None)
@given(sizes=st.lists(st.sampled_from([1, 2, 100, 4_095, 4_096, 65_536, 70_000, 300_000]), max_size=40))
def test_tail_is_the_last_bytes(sizes: list[int]) -> None:
    """Whatever the chunks, the tail is the end of the stream, and not much more is kept alive."""
    tail, stream, at = Tail(), b"", 0
    for size in sizes:
        chunk = STREAM[at % 1000 : at % 1000 + size]
        tail.add(chunk)
        stream += chunk
        at += size
        assert tail.retained_bytes <= TAIL_BYTES + MAX_SPARE + SMALLEST_KEPT
    assert tail.read() == stream[-TAIL_BYTES:]


def test_windows_in_the_head_need_no_stream() -> None:
    """What was read before is served from there, in any order; what reaches behind it is put together."""
    head, got = STREAM[:65_536], []
    wanted = [Window(100, 50), Window(10, 5), Window(65_000, 1_000), Window(70_000, 3)]
    reader = Reader(behind(head, asking(wanted, got)))
    for chunk in cut(STREAM, 1_000):
        reader.feed(chunk)
    assert got == [STREAM[window.offset : window.end] for window in wanted]


def behind(head: bytes, steps: Steps) -> Steps:
    """Read the head first, as an inspector does."""
    yield Window(0, len(head))
    yield from behind_head(head, steps, Work(), is_all=len(head) < HEAD_BYTES)


def test_a_short_head_is_all_there_is() -> None:
    """Behind a head that the stream did not fill there is nothing to ask for, and no second chance."""
    got: list[bytes] = []
    steps = behind_head(b"0123", asking([Window(1, 2), Window(2, 5), Window(3, 1)], got), Work(), is_all=True)
    assert list(steps) == []
    assert got == [b"12", b"23"]


def test_steps_that_ask_nothing_end() -> None:
    """A follower may have nothing to read."""
    assert list(behind_head(b"", asking([], []), Work(), is_all=True)) == []
