"""containerDisks of several layers, as people build them on images of operating systems."""

import gzip
import hashlib
import io
import tarfile
from pathlib import Path
from typing import Any

from tests.images import qcow2, raw
from tests.lab.behaviours import serve
from tests.lab.origin import Behaviour, Origin
from tests.lab.registry import TAR, Layer, digest_of, image
from tests.service import Running

DISK, OTHER = qcow2(clusters=4), qcow2(clusters=6, seed=1)


def layer(files: dict[str, bytes]) -> Layer:
    """A layer as build tools pack it."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return Layer(data=gzip.compress(out.getvalue()), media_type=f"{TAR}+gzip")


SYSTEM = layer({"bin/sh": raw(600_000), "etc/os-release": b"ID=lab\n"})
ONE, TWO = layer({"disk/one.qcow2": DISK}), layer({"disk/two.qcow2": OTHER})
USERS, GONE = layer({"etc/passwd": b"x"}), layer({"disk/.wh.one.qcow2": b""})
IMAGES = {
    "last": (SYSTEM, ONE),
    "middle": (SYSTEM, ONE, USERS),
    "replaced": (SYSTEM, ONE, TWO, GONE),
    "several": (SYSTEM, ONE, TWO),
    "none": (SYSTEM, USERS),
}


async def test_the_layer_with_the_disk_is_found(tmp_path: Path) -> None:
    """Wherever it lies and however small it is; several disks are named, and one of them is asked for."""
    routes: dict[str, Behaviour] = {f"/v2/d/manifests/{tag}": serve(image(*of)) for tag, of in IMAGES.items()}
    for one in (SYSTEM, ONE, TWO, USERS, GONE):
        routes[f"/v2/d/blobs/{digest_of(one.data)}"] = serve(one.data)
    async with (
        Origin(routes) as origin,
        Running(tmp_path, origin, oci={"insecure_hosts": ["127.0.0.1"]}) as service,
    ):

        async def ends(tag: str, **fields: Any) -> dict[str, Any]:
            return await service.run(
                url=f"oci://127.0.0.1:{origin.port}/d:{tag}", disk_format="qcow2", **fields
            )

        for tag, disk in (("last", DISK), ("middle", DISK), ("replaced", OTHER)):
            ended = await ends(tag)
            assert ended["digests"].get("sha256") == hashlib.sha256(disk).hexdigest(), (tag, ended["verdict"])
        verdict = (await ends("several"))["verdict"]
        assert (verdict["code"], verdict["fields"]["rule"]) == ("registry-unusable", "layers")
        assert verdict["fields"]["choices"] == ["disk/one.qcow2", "disk/two.qcow2"]
        assert "Set disk to the path" in verdict["advice"]
        for name in ("two.qcow2", "disk/two.qcow2"):
            ended = await ends("several", disk=name)
            assert ended["state"] == "succeeded", (name, ended["verdict"])
        assert (await ends("none"))["verdict"]["code"] == "disk-unclear"
