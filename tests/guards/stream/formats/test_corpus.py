"""The corpus: every sample is judged as the manifest says, however its bytes are cut."""

import random
from itertools import groupby
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fetcher.errors import Failure
from fetcher.guards.stream.formats.packed.peek import MAX_PACKED_BYTES
from fetcher.guards.stream.formats.stream import TAIL_BYTES
from tests.guards.stream.formats import corpus
from tests.guards.stream.formats.corpus import CHUNK, NAMES, Row, cut, new_guard, path_of, rows, verdict_of
from tests.guards.stream.formats.truth import HONEST, KNOWN, truth_of

BY_SAMPLE = {name: tuple(found) for name, found in groupby(rows(), key=lambda row: row.sample)}
MAX_RETAINED = 65_536 + TAIL_BYTES + 262_144 + 65_536  # The head, the tail and its slack, one window.
DRIPPED_BYTES = 70_000
CHUNKS = (511, 4_096, 1 << 30)
SMALL = [name for name in corpus.BUILT if len(corpus.BUILT[name]()) <= DRIPPED_BYTES and name != "empty"]
CUT_AT_WILL = (
    *("good-qcow2-512", "good-vmdk-stream", "good-vdi", "good-vhd", "vmdk-text-flat", "ova-good"),
    *("gz-qcow2", "zst-frames", "lz4-frames", "iso-hybrid-mbr", "raw-btrfs", "raw-then-vhd"),
)
TOLD_AT_THE_END = ("vhd", "dmg", "zip")


def content_of(name: str, folder: Path) -> bytes:
    """Return a sample, or skip where what makes it is missing."""
    file = path_of(name, folder)
    if file is None:
        pytest.skip(f"{corpus.origin(name)} is not installed; `make setup-dev` as root installs it")
    return file.read_bytes()


def test_manifest_is_complete() -> None:
    """Every sample has its rows, and every row its sample."""
    assert set(BY_SAMPLE) == set(NAMES)


def test_manifest_tells_the_truth() -> None:
    """What is honest passes under its right claim; nothing else passes, but for what is known and told."""
    accepted = {row.sample for row in rows() if row.is_accepted}
    assert {row.sample for row in rows() if row.truth == HONEST} <= accepted
    assert {row.sample for row in rows() if row.truth != HONEST} & accepted == set(KNOWN)
    assert all(row.truth == truth_of(row.sample) for row in rows())


@pytest.mark.parametrize("name", NAMES)
def test_verdict_is_that_of_the_manifest(name: str, corpus_folder: Path) -> None:
    """Every sample is found to be what it is, and accepted or refused under each claim as stated."""
    content = content_of(name, corpus_folder)
    assert corpus.inspected(content).report().format == BY_SAMPLE[name][0].format
    for row in BY_SAMPLE[name]:
        assert verdict_of(new_guard(row.claim), cut(content)) == (row.verdict, row.rule), row


@pytest.mark.parametrize("name", NAMES)
def test_verdict_does_not_depend_on_chunks(name: str, corpus_folder: Path) -> None:
    """A source chooses where chunks end, and gains nothing by it; nor does memory grow."""
    content = content_of(name, corpus_folder)
    row = BY_SAMPLE[name][-1]
    for size in CHUNKS:
        guard = new_guard(row.claim)
        assert verdict_of(guard, cut(content, size)) == (row.verdict, row.rule)
        assert guard.retained_bytes <= MAX_RETAINED


@pytest.mark.parametrize("name", SMALL)
def test_verdict_does_not_depend_on_drips(name: str) -> None:
    """A source that sends single bytes gets the verdict that it would get anyway."""
    row = BY_SAMPLE[name][0]
    guard = new_guard(row.claim)
    content = corpus.BUILT[name]()
    assert verdict_of(guard, cut(content, 1)) == (row.verdict, row.rule)
    assert guard.retained_bytes <= MAX_RETAINED


@pytest.mark.parametrize("name", CUT_AT_WILL)
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 1 << 32), typical=st.sampled_from([700, 9_000, 80_000, 400_000]))
def test_verdict_does_not_depend_on_cuts(name: str, seed: int, typical: int) -> None:
    """Chunks of any changing length lead to the same verdict."""
    dice = random.Random(seed)
    content = corpus.BUILT[name]()
    chunks, at = [], 0
    while at < len(content):
        size = dice.randint(0, 2 * typical)
        chunks.append(content[at : at + size])
        at += size
    row = BY_SAMPLE[name][0]
    assert verdict_of(new_guard(row.claim), chunks) == (row.verdict, row.rule)


def fed_until_refused(row: Row, content: bytes) -> int:
    """Return how many bytes pass before the refusal."""
    guard = new_guard(row.claim)
    fed = 0
    try:
        for chunk in cut(content, 4_096):
            fed += len(chunk)
            guard.feed(chunk)
    except Failure:
        return fed
    return 1 << 60


@pytest.mark.parametrize("name", [row.sample for row in rows() if row.verdict == "format-mismatch"][::7])
def test_wrong_claim_costs_kilobytes(name: str, corpus_folder: Path) -> None:
    """A wrong claim is refused with the head, unless what tells it lies at the end."""
    content = content_of(name, corpus_folder)
    for row in BY_SAMPLE[name]:
        is_told_early = row.verdict == "format-mismatch" and " of " not in row.rule and row.claim != "vhd"
        if is_told_early and len(content) > 2 * CHUNK and row.format not in TOLD_AT_THE_END:
            is_packed = row.format in ("gzip", "xz", "bzip2")  # As much is read as unpacks to 64 KiB.
            if is_packed and len(content) <= MAX_PACKED_BYTES:
                continue
            assert fed_until_refused(row, content) <= (MAX_PACKED_BYTES if is_packed else CHUNK) + 8_192
