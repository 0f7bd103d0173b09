"""`oci://` as a receiver: Debian's registry takes what is pushed, and our own importer pulls it back."""

import asyncio
import base64
import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.exporter.places import image_for, sender
from tests.exporter.registries import Registry
from tests.exporter.server import Answer, Server
from tests.exporter.test_put import IMAGE, ended, push
from tests.exporter.test_s3 import LARGE, PARTS, pushed
from tests.importer.schemes.test_oci import HTPASSWD, Ground, token_service, trustme_context
from tests.lab.origin import Origin
from tests.lab.registry import RegistryServer, registry_server

HTTP = {"oci": {"insecure_hosts": ["127.0.0.1"]}}


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    """An open one."""
    with registry_server(tmp_path_factory.mktemp("registry")) as server:
        yield server


def there(server: RegistryServer | Server, tag: str = "v1", **more: Any) -> dict[str, Any]:
    """How an export names it."""
    return {"url": f"oci://{server.host}:{server.port}/disks/one:{tag}", **more}


@pytest.mark.parametrize("layout", ["artifact", "containerdisk"])
@pytest.mark.parametrize("body", [IMAGE, LARGE], ids=["at once", "in chunks"])
async def test_what_is_pushed_is_pulled_back(
    tmp_path: Path, registry: RegistryServer, layout: str, body: bytes
) -> None:
    """The manifest's digest is told, the bytes read back, and our importer gets the disk from the tag."""
    fields = there(registry, f"{layout}-{len(body)}", layout=layout, verify=True)
    async with image_for(tmp_path, body, registry, sections=HTTP, **PARTS) as (service, image_id):
        done = await pushed(service, image_id, **dict(fields))
        assert done["state"] == "succeeded", done["verdict"]
        assert done["read_back"]["result"] == "matched"
        assert (done["receiver"], done["progress"]["percent"]) == (fields["url"], 100)
        kind = "qcow2" if body is IMAGE else "raw"
        pulled = await service.run(url=fields["url"], disk_format=kind)
        assert pulled["state"] == "succeeded", pulled["verdict"]
        assert pulled["digests"]["sha256"] == done["digests"]["sha256"]
        again = await pushed(service, image_id, **dict(fields))
        assert again["answer"]["found"] == "equal"
        assert again["answer"]["docker-content-digest"] == done["answer"]["docker-content-digest"]


async def test_an_image_is_a_file_or_a_disk_that_kubevirt_boots(tmp_path: Path) -> None:
    """An artifact has a type and a title; a containerDisk is a tar with disk/disk.img of qemu's user."""
    registry = Registry()
    async with (
        registry.server() as server,
        image_for(tmp_path, IMAGE, server, sections=HTTP) as (service, image_id),
    ):
        for layout in ("artifact", "containerdisk"):
            done = await pushed(service, image_id, **there(server, layout, layout=layout))
            assert done["state"] == "succeeded", done["verdict"]
        artifact, container = (json.loads(registry.manifests[tag]) for tag in ("artifact", "containerdisk"))
        assert artifact["artifactType"] == "application/vnd.glance-fetcher.disk.v1"
        (layer,) = artifact["layers"]
        assert registry.blobs[layer["digest"]] == IMAGE
        assert layer["mediaType"] == "application/x-qemu-disk"
        assert layer["annotations"]["org.opencontainers.image.title"].endswith(".qcow2")
        (layer,) = container["layers"]
        with tarfile.open(fileobj=io.BytesIO(registry.blobs[layer["digest"]])) as archive:
            folder, disk = archive.getmembers()
            assert (folder.name, folder.isdir()) == ("disk", True)
            assert (disk.name, disk.uid, disk.gid, disk.mode) == ("disk/disk.img", 107, 107, 0o440)
            file = archive.extractfile(disk)
            assert file is not None
            assert file.read() == IMAGE
        config = json.loads(registry.blobs[container["config"]["digest"]])
        assert (config["architecture"], config["rootfs"]["diff_ids"]) == ("amd64", [layer["digest"]])


async def test_blobs_that_are_there_are_not_sent(tmp_path: Path) -> None:
    """A second tag costs a manifest; a tag of something else is moved only where that is asked for."""
    registry = Registry()
    async with (
        registry.server() as server,
        image_for(tmp_path, IMAGE, server, sections=HTTP) as (service, image_id),
    ):
        assert (await pushed(service, image_id, **there(server)))["state"] == "succeeded"
        before = len(server.lines("POST"))
        assert (await pushed(service, image_id, **there(server, "v2")))["state"] == "succeeded"
        assert len(server.lines("POST")) == before
        registry.manifests["v3"] = b'{"sha256": "another"}'
        kept = await pushed(service, image_id, **there(server, "v3"))
        assert kept["verdict"]["code"] == "receiver-refused"
        assert "replace" in kept["verdict"]["title"]
        moved = await pushed(service, image_id, **there(server, "v3", replace=True))
        assert moved["state"] == "succeeded"
        assert registry.manifests["v3"] == registry.manifests["v1"]


async def test_chunks_are_gone_on_from_also_after_a_restart(tmp_path: Path) -> None:
    """What the registry acknowledged stays; the session's own address is asked how far that is."""
    registry, stuck = Registry(), asyncio.Event()

    async def honest(asked: Any) -> Answer:
        return registry.answer(asked)

    async def hang(_asked: Any) -> Answer:
        stuck.set()
        await asyncio.Event().wait()
        raise AssertionError

    registry.faults["PATCH upload"] = [honest, None, hang]
    async with registry.server() as server:
        async with image_for(tmp_path, LARGE, server, sections=HTTP, **PARTS) as (service, image_id):
            export = await push(service, image_id, **there(server))
            await stuck.wait()
        async with sender(tmp_path, server, sections=HTTP, **PARTS) as service:
            done = await ended(service, export["id"])
        assert done["state"] == "succeeded", done["verdict"]
        ranges = [asked.headers["content-range"] for asked in server.asked if asked.method == "PATCH"]
        first, second, third = "0-5242879", "5242880-10485759", "10485760-12582911"
        assert ranges == [first, second, second, second, third]
        assert LARGE in registry.blobs.values()


@pytest.mark.parametrize("how", ["lost", "cancel", "fail"])
async def test_an_upload_that_comes_to_nothing_is_dropped(tmp_path: Path, how: str) -> None:
    """A registry that lost a chunk is sent the blob anew; what nobody goes on with is deleted."""
    registry, stuck = Registry(), asyncio.Event()

    async def honest(asked: Any) -> Answer:
        return registry.answer(asked)

    async def hang(_asked: Any) -> Answer:
        stuck.set()
        await asyncio.Event().wait()
        raise AssertionError

    fault = {"lost": Answer(status=416), "cancel": hang, "fail": Answer(status=403)}[how]
    registry.faults["PATCH upload"] = [honest, fault]
    async with (
        registry.server() as server,
        image_for(tmp_path, LARGE, server, sections=HTTP, **PARTS) as (service, image_id),
    ):
        export = await push(service, image_id, **there(server))
        if how == "cancel":
            await stuck.wait()
            status, _, _ = await service.call("DELETE", f"/exports/{export['id']}")
            assert status == 204
        else:
            done = await ended(service, export["id"])
            assert done["state"] == ("succeeded" if how == "lost" else "failed")
        assert registry.uploads == {}
        assert registry.dropped == ["u0"]
        assert (LARGE in registry.blobs.values()) == (how == "lost")


async def test_a_login_lets_us_push(tmp_path: Path) -> None:
    """Basic in the URL or in headers, by https; a wrong one is told in words, and shown to nobody."""
    ground = Ground(tmp_path)
    (tmp_path / "htpasswd").write_text(HTPASSWD)
    auth = {"htpasswd": {"realm": "lab", "path": str(tmp_path / "htpasswd")}}
    sections = {"tls": ground.trusted}
    with registry_server(tmp_path, tls=ground.files, auth=auth) as server:
        async with image_for(tmp_path, IMAGE, server, sections=sections) as (service, image_id):
            login = {"Authorization": "Basic " + base64.b64encode(b"lab:hush").decode()}
            done = await pushed(service, image_id, **there(server, headers=login, verify=True))
            assert (done["state"], done["read_back"]["result"]) == ("succeeded", "matched"), done["verdict"]
            url = there(server, "v2")["url"].replace("//", "//lab:hush@")
            done = await pushed(service, image_id, url=url)
            assert done["state"] == "succeeded"
            assert "hush" not in str(done)
            refused = await pushed(service, image_id, url=url.replace("hush", "wrong"), verify=True)
            assert "does not accept the login" in refused["verdict"]["title"]
            assert refused["verdict"]["title"].startswith("The registry did not take the image")


async def test_the_token_dance_of_a_real_registry(tmp_path: Path) -> None:
    """The registry says where its tokens are; one that lets us push to this repository is asked for, once."""
    ground, scopes = Ground(tmp_path), list[str]()
    serve, bundle = token_service(ground, tmp_path, scopes)
    async with Origin({"/token": serve}, tls=trustme_context(ground)) as tokens:
        auth = {
            "token": {
                "realm": tokens.url("/token"),
                "service": "lab registry",
                "issuer": "lab",
                "rootcertbundle": bundle,
            }
        }
        sections = {"tls": ground.trusted}
        with registry_server(tmp_path, tls=ground.files, auth=auth) as server:
            async with image_for(tmp_path, IMAGE, server, tokens, sections=sections) as (service, image_id):
                url = there(server)["url"].replace("//", "//lab:hush@")
                done = await pushed(service, image_id, url=url)
                assert done["state"] == "succeeded", done["verdict"]
                assert scopes == ["repository:disks/one:pull,push"]
                sent = tokens.requests[-1].header("Authorization")
                assert sent == "Basic " + base64.b64encode(b"lab:hush").decode()


NEVER: list[tuple[str, dict[str, str]]] = [
    ("oci://127.0.0.1:PORT/disk", {}),
    (f"oci://127.0.0.1:PORT/disk@sha256:{'0' * 64}", {}),
    ("oci://127.0.0.1:PORT/disk:v1", {"X-Other": "x"}),
    ("oci://127.0.0.1:PORT/disk:v1", {"Authorization": "Basic eDp5"}),
    ("oci://evil.example/disk:v1", {}),
]


async def test_what_can_never_be_pushed_is_refused_at_once(tmp_path: Path) -> None:
    """No tag, a digest, headers of no use, a login by http, another host: nobody is asked."""
    async with (
        Registry().server() as server,
        image_for(tmp_path, IMAGE, server, sections=HTTP) as (service, image_id),
    ):
        for url, headers in NEVER:
            body = {"image": image_id, "url": url.replace("PORT", str(server.port)), "headers": headers}
            status, problem, _ = await service.call("POST", "/exports", json=body)
            assert status in {400, 403}, (url, problem)
        assert server.asked == []
