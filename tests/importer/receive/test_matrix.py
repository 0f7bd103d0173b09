"""Packing by format by damage: each combination has its verdict, in the receiver that pulls go through."""

import asyncio
import gzip
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fetcher.config import load_settings
from fetcher.errors import Rejection, TooManyBytes
from fetcher.guards import Chain, GuardContext, Purpose
from fetcher.importer.receive.complete import Complete
from fetcher.importer.receive.receiver import Receiver
from fetcher.model import Submission
from fetcher.pipeline import GuardTimes, PeerClock, WorkerPool
from fetcher.store.memory import MemoryStore
from tests.importer.stages.test_unpacking import sha256
from tests.unpack.making import make_disk, make_tar, make_zip, pack

MIB = 1 << 20
DISK = make_disk(MIB)
CAP = 3 * MIB
SETTINGS = load_settings(Path(__file__).parents[3] / "config.toml")
PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    **{name: lambda image, name=name: pack(name, image) for name in ("gzip", "xz", "zstd", "bzip2", "lz4")},
    "zip": lambda image: make_zip([("disk.img", image)]),
    "tar": lambda image: make_tar([("disk.img", image)]),
    "tar.gz": lambda image: gzip.compress(make_tar([("disk.img", image)])),
    "zip of gz": lambda image: make_zip([("disk.img.gz", gzip.compress(image))]),
}
FORMS = {
    "raw": ("raw", []),
    "qcow2": ("qcow2", ["-O", "qcow2"]),
    "qcow2 deflate": ("qcow2", ["-O", "qcow2", "-c"]),
    "vmdk": ("vmdk", ["-O", "vmdk", "-o", "subformat=streamOptimized"]),
    "vdi": ("vdi", ["-O", "vdi"]),
    "vhd": ("vhd", ["-O", "vpc", "-o", "force_size=on"]),
    "vhdx": ("vhdx", ["-O", "vhdx", "-o", "block_size=1M"]),
}


class Bytes:
    """A peer that sends bytes in pieces."""

    def __init__(self, body: bytes) -> None:
        self._rest = memoryview(body)

    async def read(self) -> bytes:
        piece, self._rest = bytes(self._rest[:50_000]), self._rest[50_000:]
        return piece


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """One image of each format, of the same disk."""
    folder = tmp_path_factory.mktemp("images")
    (folder / "disk").write_bytes(DISK)
    made = {"raw": DISK}
    for name, (_disk_format, arguments) in FORMS.items():
        if arguments:
            command = ["qemu-img", "convert", "-f", "raw", *arguments, folder / "disk", folder / "image"]
            subprocess.run(command, check=True)
            made[name] = (folder / "image").read_bytes()
    return made


async def received(body: bytes, disk_format: str, cap: int = 64 * MIB) -> tuple[str, bool]:
    """Take a body in; return the digest of what is kept, and whether it was converted."""
    whole = await taken(body, cap, disk_format=disk_format, convert_to="raw")
    return whole.digests["sha256"], "converted" in whole.stages


async def taken(body: bytes, cap: int, **claims: str | None) -> Complete:
    """Take a body in as an import does; return what would be kept."""
    store, pool = MemoryStore(1 << 30), WorkerPool(threads=2, buffer_bytes=8 * MIB, piece_bytes=MIB)
    submission = Submission(url="http://x/", max_bytes=cap, **claims)
    try:
        with store.reserve() as reservation:
            receiver = Receiver(
                staged=await store.stage("one", 1),
                store=store,
                worker_pool=pool,
                settings=SETTINGS,
                chain=Chain(GuardContext(purpose=Purpose.PULL, settings=SETTINGS, submission=submission)),
                unpacks=claims.get("container_format") is None,
                converts="convert_to" in claims,
                algorithms=["sha256"],
                address="sha256",
                reservation=reservation,
                count=lambda _size: None,
                times=GuardTimes(time.perf_counter),
            )
            try:
                await receiver.take(Bytes(body), PeerClock(asyncio.get_running_loop().time))
                return receiver.complete()
            finally:
                await receiver.close()
                assert not store.staged
    finally:
        pool.close()


@pytest.mark.needs("qemu-img")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("packing", PACKINGS)
async def test_every_combination_has_its_verdict(packing: str, form: str, images: dict[str, bytes]) -> None:
    """Whole: the disk, or an image that does not stream. Cut, changed or followed: refused, nothing left."""
    disk_format, image = FORMS[form][0], images[form]
    body = PACKINGS[packing](image)
    kept, is_converted = await received(body, disk_format)
    assert is_converted is (form not in ("raw", "vhdx"))
    assert kept == sha256(DISK if is_converted else image)
    half = len(body) // 2
    changed = bytearray(body)
    changed[half] ^= 16
    damaged = {"cut": body[:half], "followed": body + b"something else\n" * 50}
    if packing != "tar":  # It has no check sum of its content (a promise has), and padding at its end.
        damaged |= {"one bit changed": bytes(changed), "last byte cut": body[:-1]}
    came_in = [what for what, bad in damaged.items() if not await is_refused(bad, disk_format)]
    assert came_in == []


async def is_refused(body: bytes, disk_format: str) -> bool:
    """Return whether a body is refused with a type."""
    try:
        await received(body, disk_format)
    except Rejection:
        return True
    return False


@pytest.mark.parametrize("packing", PACKINGS)
async def test_bombs_stop_at_the_cap(packing: str) -> None:
    """However small the file: more than the cap does not come out."""
    with pytest.raises(TooManyBytes):
        await received(PACKINGS[packing](bytes(40 * MIB)), "raw", CAP)


@pytest.mark.needs("qemu-img")
@pytest.mark.parametrize("packing", ["gzip", "zip", "tar.gz"])
async def test_an_image_of_a_large_disk_stops_before_it_is_written(packing: str, tmp_path: Path) -> None:
    """A disk that is larger than the cap is refused before its first byte is written."""
    target = tmp_path / "large.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", target, "1G"], check=True)
    with pytest.raises(TooManyBytes):
        await received(PACKINGS[packing](target.read_bytes()), "qcow2")
