"""The parts of pages that compute: boot lines, curves, moments, the story of an import."""

import shlex
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.api.file_names import file_name
from fetcher.api.page.moments import clock, moment
from fetcher.api.page.views import chart
from fetcher.api.page.views.boot import boot_lines
from fetcher.api.page.views.dashboard import code_rows
from fetcher.api.page.views.timeline import steps_of
from fetcher.errors import Truncated
from fetcher.importer.records.verdicts import OK, verdict_of
from fetcher.index.values import Ending
from fetcher.lifecycle import State
from fetcher.model import (
    Attempt,
    Digest,
    FormatVerdict,
    Hop,
    Image,
    Import,
    Phase,
    Status,
    Submission,
    TlsPeer,
)

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def image(**changes: Any) -> Image:
    """An active image."""
    fields: dict[str, Any] = {"disk_format": "qcow2", "container_format": "bare", "name": "disk"} | changes
    return Image(
        id="a" * 36, project_id="p", status=Status.ACTIVE, created_at=NOON, updated_at=NOON, **fields
    )


@given(name=st.none() | st.text())
def test_boot_lines_are_safe_to_paste_whatever_an_image_is_called(name: str | None) -> None:
    """A shell sees the words that were meant, and no command of the image's maker."""
    for disk in ("qcow2", "iso", "raw"):
        one = image(name=name, disk_format=disk)
        assert file_name(one).isascii()
        for program, line in boot_lines(one, "http://h", needs_token=False):
            words = shlex.split(line)
            assert words[0] in {"curl", "openstack", "virt-install", "qemu-system-x86_64"}, program
            assert not set(line) & set(";|&<>`\n$()")


@pytest.mark.parametrize(
    ("changes", "programs"),
    [
        ({}, ["curl", "openstack", "server", "virt-install", "qemu"]),
        ({"disk_format": "iso"}, ["curl", "openstack", "server", "virt-install", "qemu"]),
        ({"container_format": "compressed"}, ["curl", "openstack"]),
        ({"container_format": "ova", "disk_format": "vmdk"}, ["curl", "openstack"]),
        ({"disk_format": "ploop"}, ["curl", "openstack", "server"]),
    ],
)
def test_each_kind_of_image_has_its_lines(changes: dict[str, Any], programs: list[str]) -> None:
    """No line is offered that cannot work; an ISO boots from a drive for discs."""
    lines = dict(boot_lines(image(**changes), "http://h", needs_token=True))
    assert list(lines) == programs
    assert "X-Auth-Token: $TOKEN" in lines["curl"]
    if changes.get("disk_format") == "iso":
        assert "-cdrom disk.iso" in lines["qemu"]


def test_file_names_end_in_what_they_are() -> None:
    """And not twice."""
    assert file_name(image()) == "disk.qcow2"
    assert file_name(image(name="disk.qcow2")) == "disk.qcow2"
    assert file_name(image(name="..")) == f"{'a' * 36}.qcow2"
    assert file_name(image(container_format="compressed", disk_format="raw")) == "disk.raw.compressed"
    assert file_name(image(disk_format=None)) == "disk.img"


@given(rates=st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e12)), max_size=50))
def test_curves_stay_in_their_frame(rates: list[tuple[float, float]]) -> None:
    """Whatever was measured, no number of the path leaves the picture or is none."""
    drawn = chart.draw(sorted(rates))
    if len(rates) < 2:
        assert drawn is None
        return
    assert drawn is not None
    for pair in drawn.line.replace("M", "").split(" L"):
        x, y = (float(text) for text in pair.split(","))
        assert 0 <= x <= chart.WIDTH
        assert 0 <= y <= chart.HEIGHT


@given(rate=st.floats(0, 1e15))
def test_the_scale_of_a_curve_holds_its_peak(rate: float) -> None:
    """A round number of a binary unit, not below the peak, and not so far above that the curve is flat."""
    top = chart.round_up(rate)
    assert rate <= top <= max(1.0, rate * 2.6)


def test_a_curve_has_axes() -> None:
    """Rates from the top down to zero, and times from the left."""
    drawn = chart.draw([(10.0, 0.0), (40.0, 700_000.0), (70.0, 1_500_000.0)])
    assert drawn is not None
    assert drawn.scale == ("2 MiB/s", "1 MiB/s", "0")
    assert drawn.times == ("0 s", "30 s", "1 min")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(1, "just now"), (30, "30 s ago"), (150, "2 min ago"), (7300, "2 h ago"), (86_400 * 3, "3 days ago")],
)
def test_moments_in_words(seconds: int, words: str) -> None:
    """As people say it, with the exact time beside it."""
    assert moment(datetime.now(UTC) - timedelta(seconds=seconds)) == words
    assert moment((datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()) == words


def test_old_and_missing_moments() -> None:
    """Long ago is a date; never is a dash."""
    assert moment(datetime(2020, 1, 2, tzinfo=UTC)) == "2020-01-02"
    assert (moment(None), clock(None)) == ("-", "-")
    assert clock(NOON.isoformat()) == clock(NOON) == "2026-11-22 12:00:00 UTC"


def record(**changes: Any) -> Import:
    """An import that has just been submitted."""
    fields: dict[str, Any] = {
        "submission": Submission(url="https://h/x", max_bytes=10),
        "state": State.RUNNING,
        "started_at": NOON + timedelta(seconds=5),
    } | changes
    return Import(
        id="i",
        image_id="m",
        project_id="p",
        user_id="u",
        method="web-download",
        created_at=NOON,
        updated_at=NOON,
        **fields,
    )


def words_of(one: Import, *, is_operator: bool = False) -> list[str]:
    """The story as its words."""
    return [step.words for step in steps_of(one, is_operator=is_operator)]


def test_the_story_of_a_hard_way() -> None:
    """A redirect, a break, a second attempt from the byte after, and the digest that was promised."""
    peer = TlsPeer(version="TLSv1.3", subject="h", issuer="ca", not_after="2027", sha256="0")
    hops = (
        Hop(url="https://h/x", status=302, address="192.0.2.1", port=443, tls=peer, at=NOON),
        Hop(url="https://m/x", status=200, at=NOON, headers={"etag": '"1"'}),
    )
    first = Attempt(
        number=1,
        started_at=NOON,
        ended_at=NOON + timedelta(seconds=2),
        code="truncated",
        reason="It broke off.",
        received_bytes=5,
        wait_seconds=1.0,
        hops=hops,
    )
    second = Attempt(number=2, started_at=NOON, ended_at=NOON, code="ok", offset=5, received_bytes=5)
    one = record(
        state=State.SUCCEEDED,
        attempts=(first, second),
        verdict=OK,
        digests={"sha256": "ab"},
        submission=Submission(url="u", max_bytes=1, checksum=Digest(algorithm="sha256", value="ab")),
        format=FormatVerdict(disk_format="raw", container_format="bare", name="raw", virtual_bytes=5),
        ended_at=NOON,
    )
    assert words_of(one) == [
        "Submitted by u",
        "Started after 5 s in the queue",
        "Attempt 1",
        "Redirected (302)",
        "Response 200",
        "It broke off. (5 B in 2 s; retrying in 1 s)",
        "Attempt 2, resumed at byte 5",
        "Received 5 B in 0 s",
        "Detected format: raw",
        "Checksum verified (sha256)",
        "Stored as an image",
    ]
    for is_operator in (False, True):
        facts = str([step.facts for step in steps_of(one, is_operator=is_operator)])
        assert ("192.0.2.1" in facts) is is_operator
        assert "TLSv1.3" in facts


def test_the_story_of_a_bad_end() -> None:
    """What stopped it is told once, and a digest that differs is named."""
    verdict = verdict_of(Truncated(received_bytes=1, declared_bytes=2))
    attempt = Attempt(number=1, started_at=NOON, ended_at=NOON, code="truncated", reason=verdict.title)
    one = record(
        state=State.FAILED,
        attempts=(attempt,),
        verdict=verdict,
        ended_at=NOON,
        digests={"sha256": "ab"},
        submission=Submission(url="u", max_bytes=1, checksum=Digest(algorithm="sha256", value="cd")),
    )
    words = words_of(one)
    assert words.count(verdict.title) == 1
    assert "Stopped after 0 B in 0 s" in words
    assert "Checksum does not match (sha256)" in words


@pytest.mark.parametrize(
    ("changes", "last"),
    [
        ({"state": State.QUEUED, "started_at": None}, "Queued"),
        ({"phase": Phase.PULLING}, "Receiving data"),
        ({"phase": Phase.VERIFYING, "digests": {"md5": "a"}}, "Verifying checksums"),
        ({"attempts": (Attempt(number=1, started_at=NOON, hops=(Hop(url="u", at=NOON),)),)}, "Queued"),
    ],
)
def test_the_story_so_far(changes: dict[str, Any], last: str) -> None:
    """It ends with what is being done now."""
    assert words_of(record(**changes))[-1] == last


def test_bars_of_a_day_by_code() -> None:
    """The most frequent code first, each hour in its place, the highest as high as may be."""
    endings = [
        Ending(at="2026-11-22T12", code="ok", count=4),
        Ending(at="2026-11-22T11", code="ok", count=2),
        Ending(at="2026-11-22T12", code="truncated", count=1),
    ]
    rows = code_rows(endings, NOON + timedelta(minutes=30))
    assert [(row.code, row.count) for row in rows] == [("ok", 6), ("truncated", 1)]
    heights = [height for _x, _y, height, _words in rows[0].bars]
    assert heights == [0.0] * 22 + [11.0, 22.0]
    assert rows[1].bars[-1][2] == 5.5  # On the scale of all rows.
    assert rows[0].bars[-1][3] == "4 at 12:00 UTC"
