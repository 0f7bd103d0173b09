"""Signs: what rules a recogniser out without a call never rules out what it would find."""

import pytest

from fetcher.guards.stream.formats import Inspector, inspector, registry
from fetcher.guards.stream.formats.raw import filesystem, kernel
from fetcher.guards.stream.formats.refused import document
from tests.guards.stream.formats.corpus import BUILT, inspected

NOISE = bytes(range(1, 256)) * 520
FEW_WORDS = {
    **{f"begins {start!r}": start + bytes(1_000) for start in document.BEGINNINGS},
    **{
        f"{magic!r} at {at}": NOISE[:at] + magic + NOISE
        for at, magic, _ in (*filesystem.SUPERBLOCKS, *filesystem.VOLUMES)
    },
    **{f"{magic!r} at {at}": NOISE[:at] + magic + NOISE for at, magic, _ in kernel.MAGICS},
    **{f"{magic!r} behind": NOISE[:at] + magic + NOISE for at, magic, _ in filesystem.BEHIND},
    "s390": NOISE[: kernel.S390_AT] + kernel.S390_MAGIC + NOISE,
    "torrent": b"d8:announce9:udp://a/x4:infod6:pieces20:" + NOISE,
    "zsync": b"zsync: 0.6.2\nFilename: disk.iso\n\n" + NOISE,
    "descriptor by its version": b"# x\n\nversion=1\n" + bytes(600),
    "descriptor by its type": b'any\ncreateType="monolithicFlat"\n' + bytes(600),
    "text in UTF-16": "plain".encode("utf-16"),
    "text and zeros": b"plain" + bytes(70_000),
    "noise": NOISE,
    "zeros": bytes(70_000),
}
SAMPLES = {**{name: make() for name, make in BUILT.items()}, **FEW_WORDS}


@pytest.mark.parametrize("name", SAMPLES)
def test_whoever_would_find_something_is_asked(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream is found to be the same, whether all recognisers are asked or those whose signs are there."""
    told = inspected(SAMPLES[name]).report()
    for signs in ("SIGNS", "BEHIND_SIGNS", "END_SIGNS"):
        monkeypatch.setattr(inspector, signs, {})
    assert inspected(SAMPLES[name]).report() == told


def test_who_has_no_signs_is_always_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A recogniser that was added without a line among the signs sees every head and every end."""
    asked: list[object] = []
    for list_of in ("RECOGNISERS", "BEHIND_RECOGNISERS", "END_RECOGNISERS"):
        monkeypatch.setattr(inspector, list_of, (lambda *seen: asked.append(len(seen)),))
    seen = Inspector()
    seen.feed(NOISE)
    seen.finish()
    assert asked == [1, 2, 1]


def test_every_recogniser_has_its_signs() -> None:
    """An ordinary disk image makes no call for what it is not."""
    assert registry.SIGNS.keys() == set(registry.RECOGNISERS)
    assert registry.BEHIND_SIGNS.keys() == set(registry.BEHIND_RECOGNISERS)
    assert registry.END_SIGNS.keys() == set(registry.END_RECOGNISERS)
