"""The byte cap, to the byte."""

import pytest

from fetcher.errors import TooManyBytes
from fetcher.guards.stream.size import ByteCap, check_declared


def test_exactly_the_cap_passes() -> None:
    """At the limit passes."""
    cap = ByteCap(max_bytes=10)
    cap.feed(bytes(9))
    cap.feed(bytes(1))
    cap.finish()
    assert cap._seen_bytes == 10


def test_one_byte_more_is_refused() -> None:
    """One past it fails, before the chunk is stored."""
    cap = ByteCap(max_bytes=10)
    cap.feed(bytes(10))
    with pytest.raises(TooManyBytes) as caught:
        cap.feed(bytes(1))
    assert caught.value.max_bytes == 10


def test_a_declared_size_is_judged_before_the_first_byte() -> None:
    """Nobody downloads 20 GiB to find out that it was 20 GiB and a byte."""
    check_declared(None, max_bytes=10)
    check_declared(10, max_bytes=10)
    with pytest.raises(TooManyBytes) as caught:
        check_declared(11, max_bytes=10)
    assert caught.value.declared_bytes == 11
