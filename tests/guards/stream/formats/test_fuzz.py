"""The fuzzing harness, run briefly: what a fuzzer looks for over hours, for seconds."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz.formats.harness import BASES, PATCH, check_stream, stream_of, verdict

INTERESTING = st.sampled_from(
    [b"\0", b"\xff", b"\xff" * 4, b"\xff" * 8, b"\x7f\xff\xff\xff", b"\0\0\0\1", b"\1\0\0\0"]
)
PLACES = st.integers(0, 2_100) | st.integers(0, (1 << 24) - 1)


@st.composite
def spoilt(draw: st.DrawFn) -> bytes:
    """Draw the seed of a valid image with pieces written over it."""
    seed = bytes([draw(st.integers(0, len(BASES) - 1))])
    for _ in range(draw(st.integers(0, 3))):
        piece = draw(INTERESTING | st.binary(min_size=1, max_size=16))
        seed += PATCH.pack(draw(PLACES), len(piece)) + piece
    return seed


@settings(max_examples=250, deadline=None)
@given(seed=spoilt(), size=st.sampled_from([1_000, 65_536]))
def test_spoilt_images_hold_the_invariant(seed: bytes, size: int) -> None:
    """However a valid image is spoilt: no fault, one verdict, bounded memory, linear cost."""
    check_stream(stream_of(seed), size)


@settings(max_examples=150, deadline=None)
@given(stream=st.binary(max_size=2_000), size=st.integers(1, 600))
def test_noise_holds_the_invariant(stream: bytes, size: int) -> None:
    """Short noise neither fails the inspector nor is anything but noise."""
    check_stream(stream, size)


def test_many_small_blocks_cost_linear_time() -> None:
    """A stream of the smallest blocks there are is walked in as many steps as it has blocks, not more."""
    block = (1 << 1 | 1 << 3).to_bytes(3, "little") + b"x"  # A run of one byte.
    stream = b"\x28\xb5\x2f\xfd\x20\5" + block * 20_000 + (1 | 1 << 3).to_bytes(3, "little") + b"x"
    assert check_stream(stream).format == "zstd"


def test_noise_is_never_accepted_unclaimed() -> None:
    """What no recogniser knows does not become an image unless somebody says that it is a raw disk."""
    stream = random.Random(3).randbytes(200_000)
    assert check_stream(stream).format == "unknown"
    assert verdict([stream]) == "format-unknown"
