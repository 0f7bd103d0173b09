"""The inspector: a result for every stream, and a refusal for every fault of ours."""

from collections.abc import Callable

import pytest

from fetcher.errors import FormatUnsafe
from fetcher.guards.stream.formats import FormatGuard, Inspector, inspector
from fetcher.guards.stream.formats.report import End, Kind, Report, Role, Steps, Window
from tests.guards.stream.formats.build import mbr
from tests.guards.stream.formats.corpus import inspected, new_guard

KIND = Kind(key="odd", words="an odd disk", role=Role.DISK, disk_format="raw")


def feed(guard: FormatGuard, stream: bytes) -> None:
    """Feed a whole stream."""
    guard.feed(stream)
    guard.finish()


class Stumble(Exception):
    """What a recogniser with a fault raises."""


def stumble(*_: object) -> None:
    raise Stumble


def stumbling_steps() -> Steps:
    """Ask for a window, and stumble over it."""
    yield Window(100, 1)
    raise Stumble


def following(
    follow: Callable[[], Steps] | None, close: Callable[[End], None] | None
) -> Callable[[bytes], Report]:
    """Make a recogniser whose report stumbles later on."""
    return lambda _: Report(kind=KIND, name="odd", follow=follow, close=close)


FAULTS = {
    "in the head": stumble,
    "while following": following(stumbling_steps, None),
    "at the end": following(None, stumble),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("size", [200, 70_000])
def test_fault_of_ours_is_a_refusal(fault: str, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a recogniser stumbles over, wherever: refused, kept for the log, and never taken back."""
    monkeypatch.setattr(inspector, "RECOGNISERS", (FAULTS[fault],))
    guard = new_guard("raw")
    with pytest.raises(FormatUnsafe) as caught:
        feed(guard, bytes(size))
    assert caught.value.rule == "inspector-fault"
    assert isinstance(guard.fault, Stumble)
    assert guard.verdict is None
    with pytest.raises(FormatUnsafe):
        guard.feed(b"more")
    with pytest.raises(FormatUnsafe):
        guard.finish()


@pytest.mark.parametrize("fault", FAULTS)
def test_inspection_tells_a_fault(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a policy a fault is a finding among others, and nothing is raised."""
    monkeypatch.setattr(inspector, "RECOGNISERS", (FAULTS[fault],))
    found = inspected(bytes(70_000)).report()
    assert [finding.rule for finding in found.findings] == ["inspector-fault"]
    assert not found.is_safe


def test_inspection_is_known_in_steps() -> None:
    """Before the head nothing is known; after it the format is; after the end the size is, too."""
    looking = Inspector()
    looking.feed(mbr()[:1_000])
    assert looking.report().format == "unknown"
    looking.feed(mbr()[1_000:])
    assert (looking.report().format, looking.report().complete) == ("mbr", False)
    looking.finish()
    found = looking.report()
    assert (found.complete, found.virtual_bytes, found.seen_bytes) == (True, len(mbr()), len(mbr()))


def test_empty_stream_is_told() -> None:
    """Nothing at all has a name of its own."""
    assert inspected(b"").report().format == "empty"
