"""Appliances that are kept as they are, through the whole service: what tools write comes in."""

import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.guards.stream.formats.build import MIB
from tests.guards.stream.formats.hostile_ova import OVAS, ova, ovf
from tests.guards.stream.formats.hostile_tar import DISK, LONG
from tests.guards.stream.formats.test_ova_papers import DISK as STREAM
from tests.guards.stream.formats.test_ova_papers import NVRAM, PAPER, manifest
from tests.importer.stages.test_unpacking import TAG, bytes_of, sha256
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.service import Running

FORMS = ("v7", "oldgnu", "gnu", "ustar", "pax")
PYTHON = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}
TOOLS = {
    **{f"tar-{form}": ("tar", f"--format={form}", "-cf", "-") for form in FORMS},
    "tar-records": ("tar", "--format=gnu", "--record-size=1M", "-cf", "-"),
    "libarchive": ("bsdtar", "--format=pax", "-cf", "-"),
}
HOSTILE = {
    "ova-size-hidden": "ova-header",
    "ova-size-for-all": "ova-header",
    "ova-names-differ": "ova-header",
    "ova-name-up": "ova-member-name",
    "ova-name-long-up": "ova-member-name",
    "ova-prefix-gnu": "ova-header",
    "ova-prefix-path": "ova-member-name",
    "ova-two-long-names": "ova-header",
    "ova-holes-1.0": "ova-header",
    "ova-capacity-unit": "ova-capacity",
    "ova-padding-spoilt": "ova-end",
    "ova-end-missing": "ova-end",
}
KEPT = {"disk_format": "vmdk", "container_format": "ova"}


def made_by(tool: str, folder: Path) -> bytes:
    """Make an appliance by a library or a tool, with a long name where its format has room for one."""
    name = "disk.vmdk" if tool in {"tar-v7", "ustar", "tar-ustar"} else LONG
    descriptor = ovf(name, size="2", unit="GigaBytes")
    if tool in PYTHON:
        return ova(("vm.ovf", descriptor), (name, DISK), form=PYTHON[tool]) + bytes(2 * MIB)
    if shutil.which(TOOLS[tool][0]) is None:
        pytest.skip(f"{TOOLS[tool][0]} is not installed")
    (folder / "vm.ovf").write_bytes(descriptor)
    (folder / name).write_bytes(DISK)
    command = [*TOOLS[tool], "vm.ovf", name]
    return subprocess.run(command, cwd=folder, capture_output=True, check=True).stdout


@pytest.mark.parametrize("tool", [*PYTHON, *TOOLS])
async def test_what_tools_write_is_kept(tool: str, tmp_path: Path) -> None:
    """The image is the appliance as received, as large as its descriptor says; unpacked it is its disk."""
    (tmp_path / "made").mkdir()
    body = made_by(tool, tmp_path / "made")
    async with Origin({"/x": behaviours.serve(body)}) as origin, Running(tmp_path, origin) as service:
        kept = await service.run(url=origin.url("/x"), **KEPT)
        assert kept["state"] == "succeeded", kept["verdict"]
        assert kept["format"]["virtual_bytes"] == 2 << 30
        assert await bytes_of(service, kept) == body
        shown = await service.get(f"/v2/images/{kept['image_id']}")
        assert (shown["disk_format"], shown["container_format"]) == ("vmdk", "ova")
        unpacked = await service.run(url=origin.url("/x"), disk_format="vmdk")
        assert unpacked["state"] == "succeeded", unpacked["verdict"]
        assert unpacked["digests"]["sha256"] == sha256(DISK)


@pytest.mark.parametrize("name", HOSTILE)
async def test_what_readers_differ_on_is_refused(name: str, tmp_path: Path) -> None:
    """The refusal names the rule and says what to do, and nothing is left of the bytes."""
    body = OVAS[name]()
    async with Origin({"/x": behaviours.serve(body)}) as origin, Running(tmp_path, origin) as service:
        ended = await service.run(url=origin.url("/x"), **KEPT)
        verdict = ended["verdict"]
        assert (ended["state"], verdict["code"], verdict["fields"]["rule"]) == (
            "refused",
            "format-unsafe",
            HOSTILE[name],
        )
        assert verdict["advice"]
        assert service.traces() == []


GOOD = ova(PAPER, STREAM, NVRAM, manifest(PAPER, STREAM, NVRAM))
CHANGED = ova(PAPER, STREAM, (NVRAM[0], NVRAM[1][:-9] + b"?" + NVRAM[1][-8:]), manifest(PAPER, STREAM, NVRAM))


async def test_kept_with_its_manifest_compared(tmp_path: Path) -> None:
    """The bytes are those that were published, and the verdict says what was compared."""
    half = behaviours.cut(GOOD, after=len(GOOD) // 2, fields=TAG)
    rest = behaviours.serve(GOOD, fields=TAG)
    routes = {"/x": behaviours.in_turn(half, rest)}
    async with Origin(routes) as origin, Running(tmp_path, origin) as service:
        ended = await service.run(url=origin.url("/x"), container_format="ova")
        assert ended["state"] == "succeeded", ended["verdict"]
        assert ended["format"]["facts"]["manifest"] == "compared"
        assert await bytes_of(service, ended) == GOOD
        assert len(ended["attempts"]) == 2


@pytest.mark.parametrize("body", [CHANGED, ova(("a.ovf", ovf()), STREAM, ("a.mf", b"SHA256(a.ovf)= 00\n"))])
async def test_refused_where_a_member_is_another(body: bytes, tmp_path: Path) -> None:
    """By the rule's name, with what to do."""
    async with Origin({"/x": behaviours.serve(body)}) as origin, Running(tmp_path, origin) as service:
        ended = await service.run(url=origin.url("/x"), container_format="ova")
        assert (ended["state"], ended["verdict"]["code"]) == ("refused", "format-unsafe")
        assert ended["verdict"]["fields"]["rule"] == "ova-manifest"
        assert "export" in ended["verdict"]["fields"]["hint"].lower()
