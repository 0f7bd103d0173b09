"""Public qcow2 disks as virtual machines for Incus and LXD, read by the rules of their client."""

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from fetcher.api.streams.fingerprints import FILE, Fingerprints
from fetcher.api.streams.machines import archive_of
from fetcher.errors import StoreFailed
from fetcher.model import Image, Status
from fetcher.parsers.catalogues import read_products
from tests.api.image_v2.cloud import Cloud
from tests.api.streams.test_published import UBUNTU, make_public, publishing
from tests.api.test_links import follow
from tests.images import qcow2, raw
from tests.service import Running

DISK = qcow2(clusters=2)
ARCHES = {"amd64": "x86_64", "arm64": "aarch64", "armhf": "armv7l", "ppc64el": "ppc64le", "i386": "i686"}
NEEDED = ("os", "release", "variant", "architecture", "description")


def machines(products: dict[str, Any], metadata: str) -> Iterator[dict[str, Any]]:
    """The virtual machines that a client finds in a list of products.

    Args:
        metadata: `incus.tar.xz`, or `lxd.tar.xz` for LXD.

    Source: the rules of `Products.ToAPI` in lxc/incus, shared/simplestreams/products.go.
    """
    for product in products.values():
        if product["arch"] not in {*ARCHES, *ARCHES.values()}:
            continue
        for serial, version in product["versions"].items():
            datetime.strptime(serial[:8], "%Y%m%d").replace(tzinfo=UTC)
            items = version["items"].values()
            for meta in (one for one in items if one["ftype"] == metadata):
                for root in (one for one in items if one["ftype"] == "disk-kvm.img"):
                    fingerprint = meta.get("combined_disk-kvm-img_sha256")
                    if fingerprint and meta["path"]:
                        yield {
                            "fingerprint": fingerprint,
                            "meta": meta,
                            "root": root,
                            "aliases": product["aliases"].split(","),
                        }


async def lists(cloud: Cloud) -> dict[str, Any]:
    """The products, when all that is published has its fingerprint."""
    found = cloud.service.app.state.services.published
    index = json.loads((await follow(cloud, "/streams/v1/index.json"))[1])
    await found._fingerprints.compute()
    found._until = 0.0
    [row] = [one for one in index["index"].values() if one["datatype"] == "image-downloads"]
    return dict(json.loads((await follow(cloud, f"/{row['path']}"))[1])["products"])


@pytest.mark.parametrize("metadata", ["incus.tar.xz", "lxd.tar.xz"])
async def test_a_client_finds_and_fetches_a_virtual_machine(tmp_path: Path, metadata: str) -> None:
    """Both files have the size and digest of the list, and together the fingerprint."""
    async with publishing(tmp_path, machines=True) as cloud:
        await make_public(cloud, DISK, disk_format="qcow2", **UBUNTU)
        while not (all_found := list(machines(products := await lists(cloud), metadata))):
            pass  # The background is at it.
        [found] = all_found
        assert found["aliases"] == ["ubuntu-26.04"]
        bodies = []
        for item in (found["meta"], found["root"]):
            status, body, _ = await follow(cloud, f"/{item['path']}")
            assert status == 200
            assert (len(body), hashlib.sha256(body).hexdigest()) == (item["size"], item["sha256"])
            bodies.append(body)
        assert hashlib.sha256(b"".join(bodies)).hexdigest() == found["fingerprint"]
        with tarfile.open(fileobj=io.BytesIO(bodies[0]), mode="r:xz") as archive:
            file = archive.extractfile("metadata.yaml")
            assert file is not None
            told = yaml.safe_load(file.read())
        assert told["architecture"] == "x86_64"
        assert told["creation_date"] > 0
        assert set(NEEDED) <= set(told["properties"])
        text = json.dumps({"format": "products:1.0", "products": products}).encode()
        [entry] = read_products(text, "https://x.example", max_entries=9).entries
        assert entry.digest is not None  # A second site reads the same list, and takes the disk alone.
        assert entry.digest.value == found["root"]["sha512"]


async def test_other_disks_and_an_operator_who_says_no_have_none(tmp_path: Path) -> None:
    """Raw disks are listed as they are; without `machines` nothing is read for it."""
    async with publishing(tmp_path, machines=True) as cloud:
        image = await make_public(cloud, raw(5000), disk_format="raw", **UBUNTU)
        assert list(machines(await lists(cloud), "incus.tar.xz")) == []
        status, body, _ = await follow(cloud, f"/streams/images/{image['id']}/incus.tar.xz")
        assert (status, body) == (200, raw(5000))
    folder = tmp_path / "off"
    folder.mkdir()
    async with publishing(folder, machines=False) as cloud:
        await make_public(cloud, DISK, disk_format="qcow2", **UBUNTU)
        assert list(machines(await lists(cloud), "incus.tar.xz")) == []


def image(**more: Any) -> Image:
    """A public disk."""
    known = {
        "id": "1",
        "project_id": "p",
        "name": "a",
        "status": Status.ACTIVE,
        "visibility": "public",
        "disk_format": "qcow2",
        "container_format": "bare",
        "sha256": hashlib.sha256(DISK).hexdigest(),
        "created_at": datetime(2026, 4, 20, tzinfo=UTC),
        "updated_at": datetime(2026, 4, 20, tzinfo=UTC),
    }
    return Image(**(known | more))


class Shelf:
    """A store of one disk, that counts how often it is read."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.reads = 0

    async def read(self, _sha256: str) -> Any:
        """Its bytes, in two pieces."""
        self.reads += 1
        if not self.data:
            raise StoreFailed(reason="gone")
        yield self.data[:100]
        yield self.data[100:]


async def test_a_fingerprint_is_computed_once(tmp_path: Path) -> None:
    """It outlives the process; another name is other metadata, so it is computed anew."""
    shelf = Shelf(DISK)
    first = Fingerprints(shelf, tmp_path)  # type: ignore[arg-type] # all that is asked of a store here
    assert first.find(image()) is None
    assert await first.compute() == 1
    found = first.find(image())
    assert found == hashlib.sha256(archive_of(image()).data + DISK).hexdigest()
    again = Fingerprints(shelf, tmp_path)  # type: ignore[arg-type] # likewise
    await again.load()
    assert again.find(image()) == found
    assert again.find(image(name="b")) is None
    assert (await again.compute(), shelf.reads) == (1, 2)


@pytest.mark.parametrize("data", [b"", DISK[:-1] + b"x"], ids=["gone", "corrupt"])
async def test_damaged_bytes_get_no_fingerprint(tmp_path: Path, data: bytes) -> None:
    """One that would fit nothing is never listed; it is tried again when it is asked for again."""
    shelf = Shelf(data)
    found = Fingerprints(shelf, tmp_path)  # type: ignore[arg-type] # all that is asked of a store here
    assert found.find(image()) is None
    assert await found.compute() == 0
    assert not (tmp_path / FILE).exists()
    shelf.data = DISK
    assert found.find(image()) is None
    assert await found.compute() == 1


@pytest.mark.parametrize("text", [b"[]", b"{", b'{"a": 5}', b"\xff"])
async def test_a_damaged_file_counts_for_nothing(tmp_path: Path, text: bytes) -> None:
    """All is computed anew; a folder that cannot be written to only costs the next process the same."""
    (tmp_path / FILE).write_bytes(text)
    found = Fingerprints(Shelf(DISK), tmp_path)  # type: ignore[arg-type] # all that is asked of a store here
    await found.load()
    assert found.find(image()) is None
    (tmp_path / FILE).unlink()
    (tmp_path / FILE).mkdir()
    assert await found.compute() == 1


async def test_the_background_computes_what_is_published(tmp_path: Path) -> None:
    """Nobody has to ask for a list first."""
    async with Running(tmp_path, publish={"enabled": True, "cache_seconds": 0.01}) as service:
        found = service.service.app.state.services.published
        found._fingerprints._wanted["x"] = ("0" * 64, archive_of(image()))
        found._fingerprints._news.set()
        async with service.client.get("/streams/v1/index.json") as answer:
            assert answer.status == 200
        while found._fingerprints._wanted:
            await service.get("/healthz")
