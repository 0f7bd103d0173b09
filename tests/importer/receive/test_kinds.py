"""Files of unusual kinds by real tools: each comes in as what it is, or is refused by its name."""

import subprocess
from pathlib import Path

import pytest

from fetcher.errors import Failure
from tests.importer.receive.kinds import SAMPLES, Sample
from tests.importer.receive.test_matrix import taken
from tests.unpack.making import make_disk

GIB = 1 << 30
ARM64_KERNEL = bytes(56) + b"ARM\x64" + bytes(range(256)) * 1_024
FIT = """/dts-v1/;
/ { description = "x"; #address-cells = <1>;
    images { kernel { description = "k"; data = /incbin/("kernel"); type = "kernel"; arch = "arm64";
        os = "linux"; compression = "none"; load = <0>; entry = <0>; hash-1 { algo = "sha256"; }; }; };
    configurations { default = "c"; c { kernel = "kernel"; }; };
};
"""
PATH = "/usr/bin:/bin:/usr/sbin:/sbin"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the tools pack."""
    folder = tmp_path_factory.mktemp("kinds")
    (folder / "tree").mkdir()
    (folder / "tree" / "a").write_bytes(b"hello\n")
    (folder / "tree" / "b").write_bytes(make_disk(1 << 19))
    (folder / "disk.raw").write_bytes(make_disk(1 << 20))
    (folder / "kernel").write_bytes(ARM64_KERNEL)
    (folder / "fit.its").write_text(FIT)
    return folder


@pytest.mark.parametrize(
    "sample", [pytest.param(one, id=one.name, marks=pytest.mark.needs(*one.tools)) for one in SAMPLES]
)
async def test_every_kind_has_its_verdict(sample: Sample, folder: Path) -> None:
    """A tool's file has the same verdict under each claim, and no claim makes a disk of what is none."""
    command = ["/bin/sh", "-ec", sample.command]
    done = subprocess.run(
        command, check=False, cwd=folder, env={"PATH": PATH}, capture_output=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    body = (folder / sample.name).read_bytes()
    (folder / sample.name).unlink()
    for claim, expected in sample.verdicts.items():
        assert await verdict(body, claim) == expected, claim


async def verdict(body: bytes, claim: str) -> str:
    """Return the formats that a body is kept as, or the refusal with its rule or what was found."""
    disk_format, _, container_format = claim.replace("-", "").partition("/")
    if disk_format in ("ami", "ari", "aki"):
        container_format = disk_format
    try:
        whole = await taken(
            body, GIB, disk_format=disk_format or None, container_format=container_format or None
        )
    except Failure as refusal:
        fields = refusal.fields()
        return f"{refusal.code} {fields.get('rule') or fields.get('found')}"
    assert whole.format is not None
    return f"{whole.format.disk_format}/{whole.format.container_format}"
