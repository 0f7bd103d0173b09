"""Every difference from oslo.utils and qemu-img over the corpus is a decision that is written down."""

import random
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import pytest

from tests.guards.stream.formats import build, corpus, peers
from tests.guards.stream.formats.corpus import Row

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
        pytest.skip("Debian's package qemu-utils is not installed")
    decided = {number for number, decision in enumerate(peers.DECISIONS) if decision.peer == peer}
    assert decisions_used(peer, corpus_folder) == decided


ACCEPTED = {row.sample: row for row in corpus.rows() if row.is_accepted and row.verdict.endswith("/bare")}


@pytest.mark.parametrize("name", ACCEPTED)
def test_qemu_opens_what_is_accepted(name: str, corpus_folder: Path) -> None:
    """What is accepted can be opened by qemu's driver for it, and by its probe as nothing else."""
    file = corpus.path_of(name, corpus_folder)
    if file is None or not peers.has_qemu_img():
        pytest.skip(f"{corpus.origin(name)} or Debian's package qemu-utils is not installed")
    row: Row = ACCEPTED[name]
    disk = row.verdict.partition("/")[0]
    driver = QEMU_DRIVERS.get(disk, disk)
    assert peers.qemu_img(file, driver) == (driver, True)
    assert peers.qemu_img(file).format in (driver, "raw")


MAGICS = (
    *(
        b"QFI\xfb\0\0\0\2",
        b"QFI\xfb\0\0\0\xff",
        b"KDMV",
        b"COWD",
        b"\x7f\x10\xda\xbe",
        b"conectix",
        b"vhdxfile",
    ),
    *(b"WithoutFreeSpace\2\0\0\0", b"QED\0", b"LUKS\xba\xbe\0\1", b"version=1\n", b"# Disk\nversion=3\r\n"),
    *(b"Bochs Virtual HD Image", b"#!/bin/sh\n#V2.0 Format\nmodprobe cloop", b"\n", b"#", b" ", b"EFI PART"),
)


def spoilt_raw_disks(count: int) -> Iterator[bytes]:
    """Yield disks with magics in places where they count and where they do not, that pass as raw."""
    dice = random.Random(11)
    while count:
        image = bytearray(build.mbr(size=65_536))
        for _ in range(dice.randint(1, 3)):
            at = dice.choice((0, 0, 0, 1, 16, 32, 64, 512, dice.randrange(600)))
            magic = dice.choice(MAGICS)
            image[at : at + len(magic)] = magic
        if corpus.verdict_of(corpus.new_guard("raw"), [bytes(image)])[0] == "raw/bare":
            count -= 1
            yield bytes(image)


@pytest.mark.skipif(not peers.has_qemu_img(), reason="Debian's package qemu-utils is not installed")
def test_raw_is_raw_to_qemu(tmp_path: Path) -> None:
    """What passes as a raw disk is one to qemu's probe, for services that let qemu guess."""
    file = tmp_path / "image"
    for image in spoilt_raw_disks(40):
        file.write_bytes(image)
        assert peers.qemu_img(file) == ("raw", True), image[:128]
