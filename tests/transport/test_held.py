"""What bodies hold: every byte once and in order, one account for all, and silent sources take nothing."""

from hypothesis import given
from hypothesis import strategies as st

from fetcher.transport.dialling.receive_buffer import (
    BLOCK_BYTES,
    FAST_BYTES,
    LEAST_BYTES,
    OWN_BYTES,
    PAUSE_SECONDS,
    ReceiveBuffer,
    ReceivePool,
)


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def receive(held: ReceiveBuffer, piece: bytes) -> None:
    """Have a piece come in, through as many buffers as are lent for it."""
    while piece:
        buffer = held.lend(len(piece), OWN_BYTES)
        size = min(len(buffer), len(piece))
        buffer[:size] = piece[:size]
        held.took(size)
        piece = piece[size:]


def make_fast(held: ReceiveBuffer) -> bytes:
    """Have so much come in without a pause that the next read is to a buffer of its own; what was given."""
    receive(held, bytes(FAST_BYTES))
    given = b""
    while chunk := held.take(is_aligned=True):
        given += chunk
    return given


Steps = st.lists(
    st.one_of(
        st.tuples(st.just("come"), st.integers(1, 200_000)),
        st.tuples(st.just("take"), st.booleans()),
        st.tuples(st.just("settle"), st.none()),
    ),
    max_size=30,
)


@given(steps=Steps, is_secure=st.booleans(), is_fast=st.booleans())
def test_every_byte_is_given_once_and_in_order(
    steps: list[tuple[str, int]], is_secure: bool, is_fast: bool
) -> None:
    """Whatever comes between, and the account is even at the end."""
    shared = ReceivePool()
    held = ReceiveBuffer(shared, is_secure=is_secure, now=Clock())
    given = make_fast(held) if is_fast else b""
    came = bytearray(given)
    for number, (step, value) in enumerate(steps):
        if step == "come":
            piece = bytes([number + 1]) * value
            receive(held, piece)
            came += piece
        elif step == "take":
            given += held.take(is_aligned=bool(value))
        else:
            held.settle()
        assert held.size == len(came) - len(given)
        assert shared.held_bytes >= held.size
    while chunk := held.take(is_aligned=False):
        given += chunk
    assert given == bytes(came)
    held.close()
    assert shared.held_bytes == 0


def test_a_fast_source_gathers_and_is_cut_at_blocks() -> None:
    """What is given ends where a block of the file does; the begun one is no reason to come again."""
    held = ReceiveBuffer(ReceivePool(), is_secure=False, now=Clock())
    make_fast(held)
    receive(held, bytes(50_001))
    assert held.has_own
    assert len(held.take(is_aligned=True)) % BLOCK_BYTES == 0
    assert held.size == 50_001 % BLOCK_BYTES
    assert not held.has_new
    held.settle()
    assert held.has_new
    assert not held.has_own
    assert len(held.take(is_aligned=True)) == 50_001 % BLOCK_BYTES


def test_a_slow_source_gets_no_buffer_of_its_own() -> None:
    """However much comes in all: a pause between begins the count anew."""
    clock = Clock()
    held = ReceiveBuffer(ReceivePool(), is_secure=False, now=clock)
    for _ in range(100):
        clock.seconds += 2 * PAUSE_SECONDS
        receive(held, bytes(65_536))
        assert not held.has_own
        held.take(is_aligned=True)


def test_silent_sources_take_nothing_from_others() -> None:
    """Two hundred that hold nothing leave all of the room; those that hold it leave the least."""
    shared = ReceivePool()
    silent = [ReceiveBuffer(shared, is_secure=False, now=Clock()) for _ in range(200)]
    assert shared.room(16 << 20) == OWN_BYTES
    for held in silent:
        held.add(bytes(100_000))
    assert shared.room(16 << 20) == LEAST_BYTES
    for held in silent:
        held.close()
    assert shared.room(16 << 20) == OWN_BYTES


def test_what_comes_after_the_end_is_not_held() -> None:
    """A connection may bring something until it is closed itself."""
    shared = ReceivePool()
    held = ReceiveBuffer(shared, is_secure=False, now=Clock())
    held.close()
    receive(held, bytes(1000))
    assert shared.held_bytes == held.size == 0
