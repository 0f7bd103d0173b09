"""Names for what is none of ours: words and nothing else, with libmagic or without."""

import builtins
from collections.abc import Iterator
from types import ModuleType

import pytest

from fetcher.errors import FormatUnknown
from fetcher.guards.stream.formats import naming
from tests.guards.stream.formats.corpus import BUILT, new_guard, verdict_of
from tests.guards.stream.formats.test_guard import new_guard as named_guard
from tests.guards.stream.formats.test_guard import refusal

PICTURE = b"II*\0\x08\0\0\0" + bytes(1_000)


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    """Let each test load libmagic anew; by its own name, because a test may replace the module's."""
    namer = naming._namer
    namer.cache_clear()
    yield
    namer.cache_clear()


def test_known_content_has_a_name() -> None:
    """A picture is called a picture, by its media type."""
    assert naming.name_content(PICTURE) in (None, "a picture of type image/tiff")


@pytest.mark.parametrize("content", [b"", bytes(1_000), b"just text"])
def test_nothing_special_has_none(content: bytes) -> None:
    """What has no type of its own gets no name made up for it."""
    assert naming.name_content(content) is None


def without_magic(name: str, *rest: object) -> ModuleType:
    if name == "magic":
        raise ImportError("failed to find libmagic. Check your installation")
    return ORIGINAL(name, *rest)  # type: ignore[arg-type] # as it came


ORIGINAL = builtins.__import__


def test_missing_libmagic_costs_the_name_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without libmagic refuses the same, in plainer words."""
    monkeypatch.setattr(builtins, "__import__", without_magic)
    assert naming.name_content(PICTURE) is None
    failure = refusal(named_guard(), PICTURE)
    assert isinstance(failure, FormatUnknown)
    assert failure.found == "unknown data"


def raise_anything(_: bytes) -> str:
    raise RuntimeError("a database that cannot be read")


@pytest.mark.parametrize(
    "say", [raise_anything, lambda _: "Secret title <script>", lambda _: "cannot open `x'"]
)
def test_odd_answers_are_no_names(say, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a failure of libmagic nor an answer that is no media type reaches a message."""
    monkeypatch.setattr(naming, "_namer", lambda: say)
    assert naming.name_content(PICTURE) is None


def test_names_change_no_verdict() -> None:
    """A raw disk is one because somebody said so, whatever libmagic would call it."""
    assert verdict_of(new_guard("raw"), [BUILT["media"]()]) == ("raw/bare", "-")
