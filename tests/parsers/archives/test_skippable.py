"""Frames without data: told by their magic, and stepped over by their length."""

import pytest

from fetcher.parsers.archives.skippable import (
    MAGICS,
    MAX_SKIPPED,
    behind_skippable,
    frame_bytes,
    is_skippable,
)


def frame(content: bytes = b"", magic: bytes = MAGICS[0]) -> bytes:
    """Make a frame."""
    return magic + len(content).to_bytes(4, "little") + content


def test_sixteen_magics_are_told() -> None:
    """Those and no others; part of one is none."""
    assert all(is_skippable(magic) for magic in MAGICS)
    assert len(set(MAGICS)) == 16
    assert not any(
        is_skippable(magic) for magic in (b"\x60\x2a\x4d\x18", b"\x4f\x2a\x4d\x18", MAGICS[0][:3], b"")
    )


@pytest.mark.parametrize("content", [b"", b"x", b"x" * 300])
def test_a_frame_has_a_length(content: bytes) -> None:
    """Its header counts."""
    assert frame_bytes(frame(content)[:8]) == len(frame(content))


@pytest.mark.parametrize("count", [0, 1, MAX_SKIPPED, MAX_SKIPPED + 1])
def test_a_file_begins_behind_some_frames(count: int) -> None:
    """Behind more than any tool writes, the next one is what is found."""
    frames = [frame(bytes(number), MAGICS[number % 16]) for number in range(count)]
    at = behind_skippable(b"".join(frames) + b"data")
    assert at == sum(map(len, frames[:MAX_SKIPPED]))


def test_a_frame_may_reach_behind_the_head() -> None:
    """Where it ends is told all the same; a header that is cut short is not stepped over."""
    assert behind_skippable(frame(bytes(1_000))[:100]) == 1_008
    assert behind_skippable(frame()[:7]) == 0
    assert behind_skippable(frame(b"x") + frame()[:5]) == 9
