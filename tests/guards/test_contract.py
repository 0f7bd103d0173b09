"""What every guard on a stream must pass, whatever it guards."""

import ast
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fetcher.guards
from fetcher.config import load_settings
from fetcher.errors import Failure
from fetcher.guards.base import Guard
from fetcher.guards.stream.formats import FormatGuard
from fetcher.guards.stream.pace import RateFloor
from fetcher.guards.stream.quota import QuotaCap
from fetcher.guards.stream.size import ByteCap
from tests.guards.seeing import sees_bytes

SETTINGS = load_settings()

NEW_GUARD: dict[str, Callable[[], Guard]] = {
    "ByteCap": lambda: ByteCap(max_bytes=16),
    "QuotaCap": lambda: QuotaCap(quota_bytes=20, used_bytes=4),
    "RateFloor": lambda: RateFloor(SETTINGS, lambda: 0.0),
    "FormatGuard": lambda: FormatGuard(
        disk_formats=SETTINGS.format.disk_formats,
        container_formats=SETTINGS.format.container_formats,
        max_virtual_bytes=1 << 30,
    ),
}


def verdict(guard: Guard, chunks: Iterable[bytes]) -> tuple[type[Failure] | None, str]:
    try:
        for chunk in chunks:
            guard.feed(chunk)
        guard.finish()
    except Failure as failure:
        return type(failure), str(failure)
    return None, ""


def cut(body: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(body), *(place for place in cuts if place < len(body))})
    return [body[start:end] for start, end in pairwise(places)]


@pytest.mark.parametrize("new_guard", NEW_GUARD.values(), ids=NEW_GUARD.keys())
@given(body=st.binary(max_size=32), cuts=st.lists(st.integers(0, 32)))
def test_chunking_is_ignored(new_guard: Callable[[], Guard], body: bytes, cuts: list[int]) -> None:
    """A hostile source chooses where chunks end; it gains nothing by it."""
    assert verdict(new_guard(), cut(body, cuts)) == verdict(new_guard(), [body])


@pytest.mark.parametrize("new_guard", NEW_GUARD.values(), ids=NEW_GUARD.keys())
@given(body=st.binary(max_size=2048))
def test_only_the_table_s_failures_come_out(new_guard: Callable[[], Guard], body: bytes) -> None:
    """No bytes make a guard break; anything but a verdict of the table would be a hole."""
    first = verdict(new_guard(), [body])
    assert first[0] is None or issubclass(first[0], Failure)
    assert verdict(new_guard(), [body]) == first


def test_every_guard_has_a_row() -> None:
    """A class that sees bytes in the guards' room is in the table above."""
    found = set()
    folder = Path(fetcher.guards.__file__).parent
    for path in sorted(folder.rglob("*.py")):
        if path.name == "base.py" or (path.parent.name == "formats" and path.name != "guard.py"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and sees_bytes(node):
                found.add(node.name)
    assert found == set(NEW_GUARD)
