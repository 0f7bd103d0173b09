"""Work on hostile bytes: counted in steps, bounded for each import, and done in small slices."""

import shutil
import subprocess
from itertools import cycle, repeat

import pytest

from fetcher.guards.stream.formats import Inspector
from fetcher.guards.stream.formats.guard import SKIMMED_UNITS, SLICE_UNITS
from fetcher.guards.stream.formats.report import Steps, Window
from fetcher.guards.stream.formats.stream import Reader, cost
from fetcher.guards.stream.formats.work import MAX_SHORT_STEPS, SHORT_BYTES, Work, WorkExceeded
from tests.guards.stream.formats.build import mbr
from tests.guards.stream.formats.corpus import cut, inspected, new_guard, verdict_of
from tests.guards.stream.formats.dear import WORST, lz4_cuts, ovf_of, zstd_cuts, zstd_runs

REFUSED_FOR_COST = (
    "zstd, runs of two lengths",
    "zstd, runs of long lengths",
    "lz4, blocks of two lengths",
)


@pytest.mark.parametrize("name", WORST)
def test_work_is_in_proportion_to_the_bytes(name: str) -> None:
    """Whatever the stream, looks are as many as 64 bytes go into it, and a fixed number besides."""
    stream = WORST[name]()
    looking = inspected(stream)
    assert looking.fault is None
    assert looking.steps <= 64 + len(stream) // SHORT_BYTES + looking.short_steps
    assert looking.short_steps <= 1 + MAX_SHORT_STEPS + len(stream) // 4 // 8


@pytest.mark.parametrize("name", WORST)
@pytest.mark.parametrize("size", [4_096, 262_144])
def test_the_loop_does_a_little_of_each_chunk(name: str, size: int) -> None:
    """Of each chunk only so many units are worked off at once; each further slice is bounded, too."""
    looking = Inspector()
    for chunk in cut(WORST[name](), size):
        before = looking.worked_units
        is_done = looking.skim(chunk, SKIMMED_UNITS)
        assert looking.worked_units - before <= SKIMMED_UNITS
        while not is_done:
            before = looking.worked_units
            is_done = looking.go_on(SLICE_UNITS)
            assert looking.worked_units - before <= SLICE_UNITS


@pytest.mark.parametrize("name", WORST)
def test_slices_change_no_verdict(name: str) -> None:
    """What is found does not depend on how the work is divided."""
    stream = WORST[name]()
    looking = Inspector()
    for chunk in cut(stream, 100_000):
        is_done = looking.skim(chunk, 1)
        while not is_done:
            is_done = looking.go_on(cost(65_536))
    looking.finish()
    assert looking.report() == inspected(stream).report()


@pytest.mark.parametrize("name", REFUSED_FOR_COST)
@pytest.mark.parametrize("size", [1_000, 1 << 20])
def test_the_end_of_the_budget_is_a_refusal(name: str, size: int) -> None:
    """A stream that is cut into too many pieces is refused by a rule of its own, however it comes."""
    guard = new_guard("raw/compressed")
    assert verdict_of(guard, cut(WORST[name](), size)) == ("format-unsafe", "inspection-budget")


def test_the_budget_is_exact() -> None:
    """As many short steps as there may be pass; one more does not."""
    work = Work(most=2)
    work.step(SHORT_BYTES - 1)
    work.step(SHORT_BYTES)
    work.step(0)
    with pytest.raises(WorkExceeded):
        work.spend(1)


def test_what_unpacks_to_much_may_take_more_steps() -> None:
    """Zeros that were packed come in short blocks, of which each mebibyte pays for one."""
    work = Work(most=0)
    work.unpacked_bytes = 2 << 20
    work.spend(2)
    with pytest.raises(WorkExceeded):
        work.spend(1)


def test_packed_zeros_pass_cheaply() -> None:
    """`zstd -3` of a GiB of zeros is an honest image: hardly a step of it counts, and none is dear."""
    zstd = shutil.which("zstd")
    if zstd is None:
        pytest.skip("zstd is not installed")
    head = mbr(size=512)
    stream = subprocess.run(
        ["/bin/sh", "-c", f"(cat; head -c {(1 << 30) - 512} /dev/zero) | {zstd} -3 -c"],
        input=head,
        capture_output=True,
        check=True,
    ).stdout
    assert verdict_of(new_guard(), cut(stream)) == ("raw/compressed", "-")
    looking = inspected(stream)
    assert looking.short_steps < MAX_SHORT_STEPS // 16
    assert looking.worked_units < 5 * SLICE_UNITS


def test_honest_blocks_are_looked_at_in_the_loop() -> None:
    """Blocks of the usual size cost a few units of each chunk, so nothing is handed to another thread."""
    looking = Inspector()
    handed = 0
    for chunk in cut(zstd_cuts(60_000, 100)):
        if not looking.skim(chunk, SKIMMED_UNITS):
            handed += 1
            while not looking.go_on(SLICE_UNITS):
                pass
    assert handed <= 3  # The head, and what is unpacked of it.


def test_nothing_inside_is_no_image() -> None:
    """Frames and blocks that produce nothing are not worth keeping, however many there are."""
    for name in ("zstd, empty blocks", "zstd, skippable frames", "zstd, empty frames", "lz4, empty frames"):
        code, rule = verdict_of(new_guard("raw/compressed"), cut(WORST[name]()))
        assert (code, rule) in {
            ("format-unsafe", "packed-damaged"),
            ("format-unsafe", "packed-empty"),
            ("format-unsafe", "inspection-budget"),
        }


def test_a_descriptor_has_a_bounded_number_of_names() -> None:
    """A descriptor of an appliance with more elements than any honest one has is refused."""
    assert verdict_of(new_guard(), cut(ovf_of(b"<a/>"))) == ("format-unsafe", "ova-descriptor")


def test_open_windows_go_on_from_what_was_seen() -> None:
    """A window that takes more than it needs may be followed by one that begins inside it."""
    got: list[bytes] = []

    def steps() -> Steps:
        got.append((yield Window(2, 2, 100)))
        got.append((yield Window(3, 3, 4)))
        got.append((yield Window(5, 4)))
        got.append((yield Window(20, 5)))

    reader = Reader(steps())
    reader.feed(b"0123456789")
    assert reader.finish() == (10, b"0123456789")
    assert got == [b"23456789", b"3456", b"5678", b""]


@pytest.mark.parametrize("stream", [zstd_runs(repeat(3), 9), lz4_cuts(cycle([5, 9]), 40)])
def test_copies_of_a_block_are_found_however_they_are_cut(stream: bytes) -> None:
    """The budget that a stream spends does not depend on its chunks."""
    spent = set()
    for size in (1, 2, 3, 7, 64, 65, 4_096):
        looking = inspected(stream, size)
        spent.add((looking.short_steps, looking.report().findings))
    assert len(spent) == 1
