"""Every difference from oslo.utils and qemu-img over the corpus is a decision that is written down."""

from itertools import groupby
from pathlib import Path

import pytest

from tests.guards.formats import corpus, peers
from tests.guards.formats.corpus import Row

PEERS = {"oslo.utils": peers.oslo, "qemu-img": peers.qemu_img}
BY_SAMPLE = {name: tuple(found) for name, found in groupby(corpus.rows(), key=lambda row: row.sample)}
QEMU_DRIVERS = {"vhd": "vpc", "iso": "raw", "ami": "raw", "aki": "raw", "ari": "raw", "ploop": "parallels"}


def decisions_used(peer: str, folder: Path) -> set[int]:
    """Return the numbers of the decisions that explain the differences from a peer."""
    used = set()
    for name in corpus.NAMES:
        file = corpus.path_of(name, folder)
        if file is None:
            continue
        we_accept = any(row.is_accepted for row in BY_SAMPLE[name])
        opinion = PEERS[peer](file)
        if we_accept == opinion.is_accepted:
            continue
        kind = BY_SAMPLE[name][0].format
        matching = [
            number
            for number, decision in enumerate(peers.DECISIONS)
            if (decision.peer, decision.we_accept) == (peer, we_accept) and kind in decision.formats
        ]
        assert len(matching) == 1, (name, kind, opinion)
        used.add(matching[0])
    return used


@pytest.mark.parametrize("peer", PEERS)
def test_each_difference_is_decided(peer: str, corpus_folder: Path) -> None:
    """No sample is judged differently without a written reason, and no reason is without a sample."""
    if peer == "qemu-img" and not peers.has_qemu_img():
        pytest.skip("qemu-img is not installed")
    decided = {number for number, decision in enumerate(peers.DECISIONS) if decision.peer == peer}
    assert decisions_used(peer, corpus_folder) == decided


ACCEPTED = {row.sample: row for row in corpus.rows() if row.is_accepted and row.verdict.endswith("/bare")}


@pytest.mark.parametrize("name", ACCEPTED)
def test_qemu_opens_what_is_accepted(name: str, corpus_folder: Path) -> None:
    """What is accepted can be opened by qemu's driver for it, and by its probe as nothing else."""
    file = corpus.path_of(name, corpus_folder)
    if file is None or not peers.has_qemu_img():
        pytest.skip(f"{corpus.origin(name)} or qemu-img is not installed")
    row: Row = ACCEPTED[name]
    disk = row.verdict.partition("/")[0]
    driver = QEMU_DRIVERS.get(disk, disk)
    assert peers.qemu_img(file, driver) == (driver, True)
    assert peers.qemu_img(file).format in (driver, "raw")
