"""What is public here is a catalogue for others: nothing else is in it, and other services pull from it."""

import hashlib
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import msgspec
import pysequoia
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.api.file_names import file_name
from fetcher.api.streams import published
from fetcher.api.streams.metalink import metalink_of
from fetcher.api.streams.products import dated, index_document, products_of
from fetcher.model import Image, Status
from fetcher.parsers.catalogues import read_index, read_products
from fetcher.parsers.metalink import parse_metalink
from tests.api.image_v2.cloud import DISK, OCTETS, Cloud
from tests.api.test_links import Fetched, follow
from tests.images import qcow2, raw
from tests.service import Running

PUBLISH: dict[str, Any] = {"enabled": True, "cache_seconds": 0.001, "machines": False}
UBUNTU = {"name": "Ubuntu 26.04", "os_distro": "ubuntu", "os_version": "26.04"}
START = datetime(2026, 4, 20, tzinfo=UTC)


@asynccontextmanager
async def publishing(folder: Path, **publish: Any) -> AsyncIterator[Cloud]:
    """A service that publishes."""
    async with Cloud(folder, publish=PUBLISH | publish) as cloud:
        yield cloud


async def make_public(cloud: Cloud, body: bytes = DISK, **attributes: Any) -> Any:
    """A public image of an administrator."""
    return await cloud.make_active(body, "root", visibility="public", **attributes)


async def listed(cloud: Cloud) -> dict[str, Any]:
    """The products as strangers see them."""
    status, text, _ = await follow(cloud, "/streams/v1/images.json")
    assert status == 200
    products: dict[str, Any] = json.loads(text)["products"]
    return products


async def test_l06_only_what_is_public_and_whole_is_published(tmp_path: Path) -> None:
    """Private, shared, community, hidden, queued and deactivated images are in no list, and reach nobody."""
    async with publishing(tmp_path) as cloud:
        image = await make_public(cloud, **UBUNTU)
        kept = [await cloud.make_active(visibility=kind) for kind in ("private", "shared", "community")]
        kept.append(await make_public(cloud, name="off"))
        await cloud.want(204, "root", "POST", f"/images/{kept[-1]['id']}/actions/deactivate")
        hidden = await make_public(cloud, name="hidden", os_hidden=True)
        await cloud.make("root", visibility="public")
        [product] = (await listed(cloud)).values()
        assert (product["os"], product["release"], product["arch"]) == ("ubuntu", "26.04", "amd64")
        [version] = product["versions"].values()
        [item] = version["items"].values()
        assert item["sha256"] == hashlib.sha256(DISK).hexdigest()
        assert image["id"] in item["path"]
        status, body, headers = await follow(cloud, f"/{item['path']}")
        assert (status, body) == (200, DISK)
        assert headers["content-security-policy"] == "sandbox"
        ranged = await follow(cloud, f"/{item['path']}", Range="bytes=5-9")
        assert (ranged[0], ranged[1]) == (206, DISK[5:10])
        for one in kept:
            for path in (f"/streams/images/{one['id']}/x", f"/streams/images/{one['id']}.meta4"):
                assert (await follow(cloud, path))[0] == 404, path
        assert (await follow(cloud, f"/streams/images/{hidden['id']}/x"))[
            0
        ] == 200  # Public, if not in lists.
        for path in (
            "/streams/v1/index.sjson",
            "/streams/v1/x",
            "/streams/v1",
            "/streams",
            "/streams/images/x",
        ):
            assert (await follow(cloud, path))[0] == 404, path


async def test_nothing_is_published_until_the_operator_says_so(tmp_path: Path) -> None:
    """The switch holds for lists, metalinks and bytes, and at once."""
    async with publishing(tmp_path) as cloud:
        image = await make_public(cloud)
        paths = ["/streams/v1/index.json", "/streams/v1/images.json"]
        paths += [f"/streams/images/{image['id']}{end}" for end in ("/disk.img", ".meta4")]
        assert [(await follow(cloud, path))[0] for path in paths] == [200] * 4
        cloud.write_config(publish={"enabled": False})
        cloud.service.reload()
        assert [(await follow(cloud, path))[0] for path in paths] == [404] * 4


async def test_a_copy_that_is_current_is_not_sent_again(tmp_path: Path) -> None:
    """By tag, or by date where no tag is sent; a change of what is public is another document."""
    async with publishing(tmp_path) as cloud:
        await make_public(cloud, name="one")

        async def ask(method: str = "GET", **headers: str) -> Fetched:
            return await follow(cloud, "/streams/v1/images.json", method, **headers)

        _, text, headers = await ask()
        tag, date = headers["etag"], headers["last-modified"]
        for current in (
            {"If_None_Match": f'"x", W/{tag}'},
            {"If_None_Match": "*"},
            {"If_Modified_Since": date},
        ):
            assert (await ask(**current))[:2] == (304, b""), current
        old = format_datetime(START, usegmt=True)
        for other in (
            *({"If_None_Match": '"x"', "If_Modified_Since": date}, {"If_Modified_Since": old}),
            *({"If_Modified_Since": text} for text in ("", "x", "Mon, 99 Foo 9999 99:99:99 GMT")),
        ):
            assert (await ask(**other))[0] == 200, other
        status, body, head = await ask("HEAD")
        assert (status, body, head["content-length"]) == (200, b"", str(len(text)))
        await make_public(cloud, name="two")
        assert (await ask(If_None_Match=tag))[0] == 200


async def test_a_list_is_bounded_and_pages_are_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest images are listed, page by page, and no more than the operator says."""
    monkeypatch.setattr(published, "PAGE_IMAGES", 2)
    async with publishing(tmp_path, max_images=5) as cloud:
        for number in range(7):
            await make_public(cloud, name=f"image-{number}")
        found = {product["aliases"] for product in (await listed(cloud)).values()}
        assert found == {f"image-{number}" for number in range(2, 7)}


async def test_a_second_site_pulls_from_the_first(tmp_path: Path) -> None:
    """By name from a signed list, with the digest of the list, and by a metalink."""
    key = pysequoia.Tsk.generate("site <site@lab.example>")
    secret, public = tmp_path / "site.key", tmp_path / "site.pub"
    secret.write_bytes(bytes(key))
    public.write_bytes(bytes(key.extract_certificate()))
    folders = [tmp_path / name for name in ("first", "second")]
    for folder in folders:
        folder.mkdir()
    disk = qcow2()
    async with publishing(folders[0], sign_key=str(secret)) as first:
        image = await make_public(first, disk, disk_format="qcow2", **UBUNTU)
        port = int(first.base.rpartition(":")[2])
        catalogue = {
            "name": "first",
            "kind": "simplestreams",
            "url": f"{first.base}/streams/v1/index.sjson",
            "keys": [str(public)],
        }
        allow = {"allow": [{"cidr": "127.0.0.1/32", "ports": [port]}]}
        async with Running(folders[1], address=allow, catalogue={"sources": [catalogue]}) as second:
            found = await second.get("/catalogue?q=ubuntu")
            assert found["catalogues"][0]["signers"] == [key.extract_certificate().fingerprint]
            [entry] = found["images"]
            assert (entry["name"], entry["arch"], entry["size"]) == ("ubuntu:26.04", "x86_64", len(disk))
            made = (await second.call("POST", "/imports", json={"catalogue": "ubuntu:26.04"}))[1]
            ended = await second.ended(made["id"])
            assert (ended["state"], ended["verified_by"]) == ("succeeded", "signed-catalogue"), ended
            assert ended["digests"]["sha256"] == hashlib.sha256(disk).hexdigest()
            assert image["id"] in ended["url"]
            metalink = f"{first.base}/streams/images/{image['id']}.meta4"
            async with first.client.get(metalink) as answer:
                assert answer.content_type == "application/metalink4+xml"
                text = await answer.read()
            headers = {"Content-Type": "application/metalink4+xml"}
            made = (await second.call("POST", "/imports", data=text, headers=headers))[1]
            ended = await second.ended(made["id"])
            assert (ended["state"], ended["verified_by"]) == ("succeeded", "submitter"), ended


async def test_l09_damaged_bytes_reach_no_stranger(tmp_path: Path) -> None:
    """A file that is shorter than it should be is 503 before its first byte."""
    async with publishing(tmp_path) as cloud:
        image = await make_public(cloud)
        [blob] = [path for path in (tmp_path / "data" / "blobs").rglob("*") if path.is_file()]
        blob.write_bytes(DISK[:-1])
        status, body, _ = await follow(cloud, f"/streams/images/{image['id']}/x")
        assert (status, json.loads(body)["code"]) == (503, "bytes-damaged")


async def test_l09_images_that_are_marked_as_damaged_are_in_no_list(tmp_path: Path) -> None:
    """A name leads to the newest whole version; the damaged one comes back once it was repaired."""
    async with publishing(tmp_path) as cloud:
        whole = await make_public(cloud, **UBUNTU)
        damaged = await make_public(cloud, raw(4000), **UBUNTU)
        sha256 = hashlib.sha256(raw(4000)).hexdigest()
        index = cloud.service.app.state.services.index
        for fault, ids in (("corrupt", {whole["id"]}), (None, {whole["id"], damaged["id"]})):
            assert await index.maintenance.mark(sha256, fault, START)
            [product] = (await listed(cloud)).values()
            paths = [item["path"] for one in product["versions"].values() for item in one["items"].values()]
            assert {path.split("/")[2] for path in paths} == ids
            status, body, _ = await follow(cloud, f"/streams/images/{damaged['id']}.meta4")
            assert (status, b"bytes-damaged" in body) == ((503, True) if fault else (200, False))


async def test_lists_are_signed_anew_with_a_key_of_the_same_name(tmp_path: Path) -> None:
    """A key is replaced in its place, and the next list is signed with it."""
    secret = tmp_path / "site.key"
    keys = [pysequoia.Tsk.generate(f"site <site{number}@lab.example>") for number in (1, 2)]
    secret.write_bytes(bytes(keys[0]))
    async with publishing(tmp_path, sign_key=str(secret)) as cloud:
        await make_public(cloud)
        for key in keys:
            secret.write_bytes(bytes(key))
            certificate = key.extract_certificate()
            _, text, _ = await follow(cloud, "/streams/v1/images.sjson")
            found = pysequoia.verify(bytes=text, store=lambda _ids, known=certificate: [known])
            assert [one.certificate for one in found.valid_sigs] == [certificate.fingerprint]


async def test_l08_lists_that_cannot_be_made_are_not_tried_for_each_stranger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that is gone costs one look at the images in a while, however many ask."""
    secret, looks = tmp_path / "site.key", list[bool]()
    secret.write_bytes(bytes(pysequoia.Tsk.generate("site <site@lab.example>")))
    monkeypatch.setattr(published, "FAILED_SECONDS", 600.0)
    async with publishing(tmp_path, sign_key=str(secret), cache_seconds=600.0) as cloud:
        secret.write_bytes(b"")
        lists = cloud.service.app.state.services.published
        images = lists._images

        async def counted() -> list[Image]:
            looks.append(True)
            return list(await images())

        monkeypatch.setattr(lists, "_images", counted)
        for _ in range(3):
            assert (await follow(cloud, "/streams/v1/index.json"))[0] == 503
        assert len(looks) == 1


async def test_l08_strangers_take_no_places_of_a_project(tmp_path: Path) -> None:
    """With all places for strangers taken, the project that has the image still gets its own."""
    async with Cloud(tmp_path, publish=PUBLISH, inbound={"max_requests_per_project": 1}) as cloud:
        big = bytes(16 << 20)
        image = await cloud.make("root", visibility="public")
        path = f"/images/{image['id']}/file"
        await cloud.want(204, "root", "PUT", path, data=io.BytesIO(big), headers=OCTETS)
        stranger = f"/streams/images/{image['id']}/x"
        async with cloud.client.get(stranger) as slow:
            assert slow.status == 200
            assert (await follow(cloud, stranger))[0] == 503
            assert (await cloud.fetch("alice", image["id"], Range="bytes=0-9"))[0] == 206


def image_of(**changes: Any) -> Image:
    """A public image with bytes."""
    plain: dict[str, Any] = {"id": "a" * 36, "project_id": "p", "name": "disk", "status": Status.ACTIVE}
    plain |= {"visibility": "public", "disk_format": "qcow2", "container_format": "bare", "size": 7}
    plain |= {
        "address": "ab" * 32,
        "sha256": "ab" * 32,
        "sha512": "cd" * 64,
        "created_at": START,
        "updated_at": START,
    }
    return Image(**{**plain, **changes})


def read(*images: Image) -> list[Any]:
    """What our own reader of catalogues makes of the products."""
    products = products_of(images)
    index = dated(index_document(products), START)
    assert [part.path for part in read_index(index, max_parts=1)[0]] == ["streams/v1/images.json"]
    text = dated({"format": "products:1.0", "products": products}, START)
    reading = read_products(text, "https://first.example", max_entries=99)
    assert reading.left_out == 0
    return reading.entries


def test_images_of_one_name_are_versions_of_one_product() -> None:
    """Also two of one second; another architecture is another product."""
    ids = [letter * 36 for letter in "abc"]
    entries = read(
        *(image_of(id=one) for one in ids[:2]), image_of(id=ids[2], properties={"hw_architecture": "aarch64"})
    )
    assert [(entry.name, entry.serial, entry.arch) for entry in entries] == [
        ("disk:latest", "20260420000000", "x86_64"),
        ("disk:latest", "20260420000000-bbbbbbbb", "x86_64"),
        ("disk:latest", "20260420000000", "aarch64"),
    ]


@pytest.mark.parametrize(
    "changes",
    [
        *({"visibility": kind} for kind in ("private", "shared", "community")),
        *(
            {"status": Status.DEACTIVATED},
            {"sha256": None},
            {"disk_format": "vhd"},
            {"container_format": "ova"},
        ),
    ],
    ids=str,
)
def test_what_others_could_not_use_or_may_not_have_is_no_product(changes: dict[str, Any]) -> None:
    """However it came into the list."""
    assert products_of([image_of(**changes)]) == {}


@given(
    name=st.text(max_size=300),
    told=st.dictionaries(
        st.sampled_from(["os_distro", "os_version", "hw_architecture", "provided_until"]),
        st.text(max_size=300),
    ),
)
def test_l07_whatever_an_image_is_called_its_list_can_be_read(name: str, told: dict[str, str]) -> None:
    """Text of strangers makes no list unsound: it stays one entry, below the catalogue, with its digest."""
    image = image_of(name=name.encode("utf-8", "replace").decode(), properties=told)
    products = products_of([image])
    text = dated({"format": "products:1.0", "products": products}, START)
    reading = read_products(text, "https://first.example", max_entries=9)
    assert len(reading.entries) + reading.left_out == 1
    for entry in reading.entries:
        assert entry.url == f"https://first.example/streams/images/{image.id}/{file_name(image)}"
    metalink = parse_metalink(metalink_of(image, "https://first.example/x"), max_urls=9)
    assert (metalink.urls, metalink.size, str(metalink.digest)) == (
        ("https://first.example/x",),
        7,
        f"sha512:{'cd' * 64}",
    )
    assert msgspec.json.decode(text)["updated"] == "Mon, 20 Apr 2026 00:00:00 +0000"
