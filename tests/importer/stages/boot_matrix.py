"""A disk that proves its boot, published in every packing and format, imported to raw, and booted."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from fetcher.convert.boot import verify_boot
from fetcher.convert.sandbox import probe_walls
from tests.convert.one_pass import made
from tests.convert.sector import make_disk
from tests.importer.stages.test_unpacking import bytes_of, sha256
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.service import Running
from tests.unpack.appliances import FILE, descriptor, manifest
from tests.unpack.making import make_tar, make_zip, pack

SIZE = 4 << 20
MARKER = "The last sector was read."
SECONDS = 120
AT_ONCE = 3

FORMATS: dict[str, tuple[str, str, list[str]]] = {
    "raw": ("raw", "raw", ["-O", "raw"]),
    "qcow2": ("qcow2", "qcow2", ["-O", "qcow2"]),
    "qcow2 v2": ("qcow2", "qcow2", ["-O", "qcow2", "-o", "compat=0.10"]),
    "qcow2 deflate": ("qcow2", "qcow2", ["-O", "qcow2", "-c"]),
    "qcow2 zstd": ("qcow2", "qcow2", ["-O", "qcow2", "-c", "-o", "compression_type=zstd"]),
    "qcow2 subclusters": ("qcow2", "qcow2", ["-O", "qcow2", "-o", "extended_l2=on"]),
    "vmdk stream": ("vmdk", "vmdk", ["-O", "vmdk", "-o", "subformat=streamOptimized"]),
    "vmdk sparse": ("vmdk", "vmdk", ["-O", "vmdk"]),
    "vdi": ("vdi", "vdi", ["-O", "vdi"]),
    "vhd dynamic": ("vhd", "vhd", ["-O", "vpc", "-o", "force_size=on"]),
    "vhd fixed": ("vhd", "vhd", ["-O", "vpc", "-o", "subformat=fixed,force_size=on"]),
    "vhdx": ("vhdx", "vhdx", ["-O", "vhdx"]),
}
"""By name: the suffix of its file, its disk_format, and how qemu-img makes it."""


def _as_ova(name: str, image: bytes) -> bytes:
    members = [("vm.ovf", descriptor(files=FILE.replace("disk1.vmdk", name))), (name, image)]
    return make_tar([*members, manifest(members)])


PACKINGS: dict[str, Callable[[str, bytes], bytes]] = {
    "bare": lambda _, image: image,
    **{
        key: lambda _, image, key=key: pack(key, image)  # type: ignore[misc] # bound to its key by a default
        for key in ("gzip", "xz", "zstd", "bzip2", "lz4")
    },
    "zip": lambda name, image: make_zip([("README.md", b"How to boot this.\n"), (f"image/{name}", image)]),
    "tar": lambda name, image: make_tar([(name, image), ("SHA256SUMS", b"")]),
    "tar.gz": lambda name, image: pack("gzip", make_tar([(name, image)])),
    "tar.xz": lambda name, image: pack("xz", make_tar([(name, image)])),
    "zip of gzip": lambda name, image: make_zip([(f"{name}.gz", pack("gzip", image))]),
    "ova": _as_ova,
    "box": lambda _, image: pack(
        "gzip", make_tar([("metadata.json", b'{"provider": "libvirt"}'), ("box.img", image)])
    ),
}

DOZEN = tuple(zip(PACKINGS, [*FORMATS, "qcow2"], strict=True))
"""Every packing and every format at least once."""

ALL = tuple((packing, form) for packing in PACKINGS for form in FORMATS)


async def prove(folder: Path, cases: Iterable[tuple[str, str]]) -> Mapping[tuple[str, str], str]:
    """Import each case, compare it with the disk, and boot it.

    Returns:
        By case: "boots", or what happened instead.
    """
    disk = make_disk(folder / "disk", MARKER, size=SIZE)
    images = {
        form: made(disk, folder / f"image.{number}", [*FORMATS[form][2]]).read_bytes()
        for number, form in enumerate(FORMATS)
    }
    bodies = {
        (packing, form): PACKINGS[packing](f"disk.{FORMATS[form][0]}", images[form])
        for packing, form in cases
    }
    routes = {f"/{number}": behaviours.serve(body) for number, body in enumerate(bodies.values())}
    walls, turns = await probe_walls(), asyncio.Semaphore(AT_ONCE)
    promise = sha256(disk.read_bytes())

    async def one(number: int, form: str) -> str:
        async with turns:
            claim = "vhd" if form == "vhd fixed" else None
            ended = await service.run(url=origin.url(f"/{number}"), disk_format=claim)
            if ended["state"] != "succeeded":
                return str(ended["verdict"])
            if ended["digests"]["sha256"] != promise:
                return "another disk"
            raw = folder / f"raw.{number}"
            raw.write_bytes(await bytes_of(service, ended))
            proof = await verify_boot(raw, disk_format="raw", marker=MARKER, seconds=SECONDS, walls=walls)
            raw.unlink()
            return proof.verdict

    async with Origin(routes) as origin, Running(folder, origin, convert={"target": "raw"}) as service:
        found = await asyncio.gather(*(one(number, case[1]) for number, case in enumerate(bodies)))
    return dict(zip(bodies, found, strict=True))
