"""Images by name: catalogues on loopback are fetched through the gate, kept, searched and pulled from."""

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import pytest

from fetcher.cli.exits import Exit
from fetcher.config import BadConfig, load_settings
from tests.cli.conftest import Fetcher, fetcher
from tests.images import raw
from tests.importer.stages.test_signed_sums import CLEAR, FRIEND, STRANGER
from tests.lab import behaviours
from tests.lab.behaviours import serve
from tests.lab.catalogue import index, item, manager, products, ubuntu
from tests.lab.origin import Behaviour, Exchange, Origin
from tests.service import Running

__all__ = ["fetcher"]  # The fixture of the command line.

OLD, NEW = raw(4000, seed=1), raw(5000, seed=2)
PRODUCTS = products(
    ubuntu({"20260401": item("releases/old.img", OLD), "20260421": item("releases/new.img", NEW)})
)
STREAMS: dict[str, Behaviour] = {
    "/r/streams/v1/index.json": serve(index("streams/v1/a.json"), etag='"i"'),
    "/r/streams/v1/a.json": serve(PRODUCTS, etag='"p"'),
    "/r/releases/old.img": serve(OLD),
    "/r/releases/new.img": serve(NEW),
}


def source(origin: Origin, **more: Any) -> dict[str, Any]:
    """Configure a catalogue of simplestreams."""
    one = {"name": "lab", "kind": "simplestreams", "url": origin.url("/r/streams/v1/index.json")} | more
    return {"catalogue": {"sources": [one]}}


def signed(signer: Any, path: str = "/r/streams/v1") -> dict[str, Behaviour]:
    """Clear-signed streams, as Ubuntu has them."""
    return {
        f"{path}/index.sjson": serve(signer.sign(index("streams/v1/a.sjson"), CLEAR)),
        f"{path}/a.sjson": serve(signer.sign(PRODUCTS, CLEAR)),
    }


async def test_an_image_is_imported_by_its_name(tmp_path: Path) -> None:
    """The newest serial comes, held against the catalogue's digest; the story says where the name led."""
    async with Origin(STREAMS) as origin, Running(tmp_path, origin, **source(origin)) as service:
        made = await service.submit(catalogue="ubuntu:26.04")
        ended = await service.ended(made["id"])
        assert ended["state"] == "succeeded", ended
        assert ended["digests"]["sha256"] == hashlib.sha256(NEW).hexdigest()
        assert ended["verified_by"] == "catalogue"
        assert ended["url"] == origin.url("/r/releases/new.img")
        told = ended["submission"]["catalogue"]
        assert (told["catalogue"], told["serial"], told["signer"]) == ("lab", "20260421", None)
        story = await service.get(f"/imports/{made['id']}/provenance")
        assert story["submitted"]["catalogue"] == told
        image = await service.get(f"/v2/images/{made['image_id']}")
        assert image["name"] == "ubuntu 26.04 LTS"
        assert (image["os_distro"], image["os_version"]) == ("ubuntu", "26.04")
        older = await service.submit(catalogue="ubuntu:resolute@20260401/amd64", name="mine")
        assert (await service.ended(older["id"]))["digests"]["sha256"] == hashlib.sha256(OLD).hexdigest()
        assert (await service.get(f"/v2/images/{older['image_id']}"))["name"] == "mine"


async def test_k01_other_bytes_than_the_catalogue_promises_are_refused(tmp_path: Path) -> None:
    """A mirror that serves something else under the name gives no image."""
    routes = STREAMS | {"/r/releases/new.img": serve(raw(5000, seed=9))}
    async with Origin(routes) as origin, Running(tmp_path, origin, **source(origin)) as service:
        made = await service.submit(catalogue="ubuntu:26.04")
        ended = await service.ended(made["id"])
        assert (ended["state"], ended["verdict"]["code"]) == ("refused", "checksum-mismatch")
        assert ended["verdict"]["fields"]["source"] == "catalogue"


async def test_a_search_shows_what_there_is(fetcher: Fetcher, tmp_path: Path) -> None:
    """Architecture, version, age and end of life of each image, by API and command line."""
    async with Origin(STREAMS) as origin, Running(tmp_path, origin, **source(origin)) as service:
        found = await service.get("/catalogue?q=ubuntu&arch=amd64")
        [image] = found["images"]
        assert image["reference"] == "ubuntu:26.04@20260421/x86_64"
        assert (image["end_of_life"], image["has_ended"]) == ("2031-05-31", False)
        assert image["age_days"] >= 0
        [catalogue] = found["catalogues"]
        assert (catalogue["images"], catalogue["trouble"]) == (2, None)
        assert (await service.get("/catalogue?q=fedora"))["images"] == []
        for query in ("limit=0", "other=1", "q=" + "+".join("abcdefghi"), "limit=x"):
            assert (await service.call("GET", f"/catalogue?{query}"))[0] == 400
        shown = await fetcher("catalogue", "ubuntu", "--server", service.base)
        assert shown.code == Exit.OK
        assert "ubuntu:26.04" in shown.out
        pulled = await fetcher(
            "submit", "ubuntu:26.04", "--disk-format", "raw", "--wait", "--server", service.base
        )
        assert pulled.code == Exit.OK, pulled.err
        unknown = await fetcher("submit", "ubuntu:99.04", "--server", service.base, "--json")
        assert (unknown.code, unknown.json["error"]["code"]) == (Exit.UNKNOWN, "unknown-name")
        assert unknown.json["error"]["similar"] == ["ubuntu:26.04"]


async def test_a_name_is_pulled_without_a_server(fetcher: Fetcher, tmp_path: Path) -> None:
    """`fetcher pull NAME` asks the catalogues of the configuration itself."""
    async with Origin(STREAMS) as origin:
        place = Running(tmp_path, origin, **source(origin))
        place.write_config()
        target = tmp_path / "disk.img"
        name = "ubuntu:26.04@20260401"
        done = await fetcher("pull", name, "--disk-format", "raw", "-o", target, "--config", place.config)
        assert done.code == Exit.OK, done.err
        assert target.read_bytes() == OLD


async def test_what_is_asked_again_is_not_sent_again(tmp_path: Path) -> None:
    """With the validators of what is kept, a source that has nothing new answers 304."""
    async with Origin(STREAMS) as origin, Running(tmp_path, origin, **source(origin)) as service:
        catalogues = service.service.app.state.services.catalogues
        await service.get("/catalogue")
        await catalogues.refresh()
        sent, asked = origin.sent_bytes, len(origin.requests)
        await catalogues.refresh()
        assert origin.sent_bytes == sent
        assert [request.header("If-None-Match") for request in origin.requests[asked:]] == ['"i"', '"p"']


async def test_a_start_without_the_network_has_what_was_kept(tmp_path: Path) -> None:
    """The catalogue that an earlier process fetched is searched and resolved while its source is away."""
    routes = dict(STREAMS)
    async with Origin(routes) as origin:
        async with Running(tmp_path, origin, **source(origin)) as service:
            await service.get("/catalogue")
            await service.service.app.state.services.catalogues.refresh()
        routes["/r/streams/v1/index.json"] = behaviours.status(503)
        origin.routes = routes
        async with Running(tmp_path, origin, **source(origin)) as service:
            await service.service.app.state.services.catalogues.refresh()
            found = await service.get("/catalogue?q=ubuntu")
            assert [image["serial"] for image in found["images"]] == ["20260421"]
            assert "503" in found["catalogues"][0]["trouble"]
            made = await service.submit(catalogue="ubuntu:26.04")
            assert (await service.ended(made["id"]))["state"] == "succeeded"


async def test_a_catalogue_that_cannot_be_had_is_told(tmp_path: Path) -> None:
    """Nothing else waits for it, and a name that it may have is refused with the reason."""
    async with Origin({}) as origin, Running(tmp_path, origin, **source(origin)) as service:
        status, problem, _headers = await service.call("POST", "/imports", json={"catalogue": "ubuntu:26.04"})
        assert (status, problem["code"]) == (502, "catalogue-unusable")
        assert "404" in problem["detail"]
        assert (await service.get("/v2/images"))["images"] == []


async def test_a_signed_catalogue_is_taken_from_its_publisher_alone(tmp_path: Path) -> None:
    """The pinned certificate is named in the story, and `verified_by` tells that somebody vouched."""
    ring = tmp_path / "ring.pgp"
    ring.write_bytes(bytes(FRIEND.certificate))
    async with Origin(STREAMS | signed(FRIEND)) as origin:
        rules = source(origin, url=origin.url("/r/streams/v1/index.sjson"), keys=[str(ring)])
        async with Running(tmp_path, origin, **rules) as service:
            made = await service.submit(catalogue="ubuntu:26.04")
            ended = await service.ended(made["id"])
            assert ended["verified_by"] == "signed-catalogue"
            assert ended["submission"]["catalogue"]["signer"] == FRIEND.certificate.fingerprint
            assert (await service.get("/catalogue"))["catalogues"][0]["signers"] == [
                FRIEND.certificate.fingerprint
            ]


async def test_a_signature_apart_is_fetched_where_one_has_to_be(tmp_path: Path) -> None:
    """Plain JSON with a signature file beside each document is as good as clear-signed."""
    ring = tmp_path / "ring.pgp"
    ring.write_bytes(bytes(FRIEND.certificate))
    routes = STREAMS | {
        "/r/streams/v1/index.json.gpg": serve(FRIEND.sign(index("streams/v1/a.json"))),
        "/r/streams/v1/a.json.gpg": serve(FRIEND.sign(PRODUCTS)),
    }
    async with (
        Origin(routes) as origin,
        Running(tmp_path, origin, **source(origin, keys=[str(ring)])) as service,
    ):
        [catalogue] = (await service.get("/catalogue"))["catalogues"]
        assert (catalogue["images"], catalogue["trouble"]) == (2, None)


FORGERIES: dict[str, dict[str, Behaviour]] = {
    "by-a-stranger": signed(STRANGER),
    "products-by-a-stranger": signed(FRIEND)
    | {"/r/streams/v1/a.sjson": signed(STRANGER)["/r/streams/v1/a.sjson"]},
    "unsigned": {
        "/r/streams/v1/index.sjson": serve(index("streams/v1/a.json")),
        "/r/streams/v1/index.sjson.gpg": serve(b""),
    },
    "changed-inside": signed(FRIEND)
    | {"/r/streams/v1/a.sjson": serve(FRIEND.sign(PRODUCTS, CLEAR).replace(b"20260421", b"20260422"))},
}


@pytest.mark.parametrize("routes", FORGERIES.values(), ids=FORGERIES.keys())
async def test_k02_a_forged_catalogue_is_refused(tmp_path: Path, routes: dict[str, Behaviour]) -> None:
    """Nothing of it can be found or imported, and nothing of it is kept."""
    ring = tmp_path / "ring.pgp"
    ring.write_bytes(bytes(FRIEND.certificate))
    async with Origin(STREAMS | routes) as origin:
        rules = source(origin, url=origin.url("/r/streams/v1/index.sjson"), keys=[str(ring)])
        async with Running(tmp_path, origin, **rules) as service:
            status, problem, _headers = await service.call(
                "POST", "/imports", json={"catalogue": "ubuntu:26.04"}
            )
            assert (status, problem["code"]) == (502, "catalogue-unusable")
            found = await service.get("/catalogue")
            assert (found["images"], found["catalogues"][0]["images"]) == ([], 0)
            assert "not signed" in found["catalogues"][0]["trouble"]


async def test_k03_an_older_catalogue_does_not_replace_a_newer_one(tmp_path: Path) -> None:
    """Whoever replays what a publisher signed last year cannot bring back last year's images."""
    ring = tmp_path / "ring.pgp"
    ring.write_bytes(bytes(FRIEND.certificate))
    routes = dict(STREAMS | signed(FRIEND))
    async with Origin(routes) as origin:
        rules = source(origin, url=origin.url("/r/streams/v1/index.sjson"), keys=[str(ring)])
        async with Running(tmp_path, origin, **rules) as service:
            await service.get("/catalogue")
            past = "Mon, 20 Apr 2020 10:00:00 +0000"
            replay = products(ubuntu({"20200401": item("releases/old.img", OLD)}), updated=past)
            origin.routes = routes | {"/r/streams/v1/a.sjson": serve(FRIEND.sign(replay, CLEAR))}
            await service.service.app.state.services.catalogues.refresh()
            found = await service.get("/catalogue")
            assert [image["serial"] for image in found["images"]] == ["20260421"]
            assert "older" in found["catalogues"][0]["trouble"]


async def test_k16_a_catalogue_that_is_dated_ahead_keeps_no_later_one_out(tmp_path: Path) -> None:
    """Whoever served it once, or a publisher whose clock was wrong, would have ended it for ever."""
    async with Origin(STREAMS) as origin, Running(tmp_path, origin, **source(origin)) as service:
        found = service.service.app.state.services.catalogues
        await service.get("/catalogue")
        ahead = "Fri, 31 Dec 9999 10:00:00 +0000"
        for name, body in (
            ("index.json", index("streams/v1/a.json", updated=ahead)),
            ("a.json", products(ubuntu({"20990101": item("releases/old.img", OLD)}), updated=ahead)),
        ):
            origin.routes = STREAMS | {f"/r/streams/v1/{name}": serve(body)}
            await found.refresh()
            told = await service.get("/catalogue")
            assert "future" in told["catalogues"][0]["trouble"]
            assert [image["serial"] for image in told["images"]] == ["20260421"]
        origin.routes = dict(STREAMS)
        await found.refresh()
        assert (await service.get("/catalogue"))["catalogues"][0]["trouble"] in {None, ""}


HUGE = b"[" + b" " * 70_000


async def endless(exchange: Exchange) -> None:
    """Send for as long as somebody reads."""
    await exchange.send_head(200, {"Connection": "close"})
    while True:
        await exchange.send_body(b" " * 4096)


HOSTILE: dict[str, tuple[Behaviour, str]] = {
    "too-large": (serve(HUGE), "larger"),
    "endless": (endless, "larger"),
    "no-json": (serve(b"<html>"), "JSON"),
    "redirects-inside": (behaviours.redirect("http://127.0.0.1:1/x"), "redirect 1"),
    "too-many-files": (serve(index(*(f"streams/v1/{number}.json" for number in range(9)))), "files"),
    "leads-elsewhere": (serve(index("../../x.json")), "path"),
}


@pytest.mark.parametrize(("behaviour", "words"), HOSTILE.values(), ids=HOSTILE.keys())
async def test_k05_a_hostile_catalogue_ends_in_words(
    tmp_path: Path, behaviour: Behaviour, words: str
) -> None:
    """Whatever its server does, the service says what is wrong, keeps nothing, and goes on."""
    routes = STREAMS | {"/r/streams/v1/index.json": behaviour}
    caps = {"catalogues": {"max_bytes": 65_536, "max_documents": 8}}
    async with Origin(routes) as origin, Running(tmp_path, origin, **source(origin), **caps) as service:
        [catalogue] = (await service.get("/catalogue"))["catalogues"]
        assert words in catalogue["trouble"]
        assert catalogue["images"] == 0
        assert not list((service.data / "catalogues").rglob("*.bin"))
        made = await service.submit(url=origin.url("/r/releases/old.img"))
        assert (await service.ended(made["id"]))["state"] == "succeeded"


async def test_k06_a_catalogue_that_hangs_keeps_no_start_waiting(tmp_path: Path) -> None:
    """The service takes imports while the source of its catalogue says nothing at all."""

    async def mute(exchange: Exchange) -> None:
        await exchange.wait_gone()

    routes = STREAMS | {"/r/streams/v1/index.json": mute}
    async with Origin(routes) as origin, Running(tmp_path, origin, **source(origin)) as service:
        made = await service.submit(url=origin.url("/r/releases/old.img"))
        assert (await service.ended(made["id"]))["state"] == "succeeded"


async def test_a_local_file_of_image_manager_is_a_catalogue(tmp_path: Path) -> None:
    """Properties, sizes and login come with the image; an edited file counts at once."""
    async with Origin({"/debian.raw": serve(NEW), "/debian.raw.old": serve(OLD)}) as origin:
        folder = tmp_path / "images"
        folder.mkdir()
        (folder / "debian.yml").write_bytes(manager(origin.url("/debian.raw"), NEW))
        (folder / "README.md").write_text("no catalogue")
        one = {"name": "osism", "kind": "image-manager", "url": str(folder)}
        async with Running(tmp_path, origin, catalogue={"sources": [one]}) as service:
            made = await service.submit(catalogue="debian:13", properties={"hw_disk_bus": "virtio"})
            ended = await service.ended(made["id"])
            assert (ended["state"], ended["verified_by"]) == ("succeeded", "catalogue")
            image = await service.get(f"/v2/images/{made['image_id']}")
            assert (image["min_disk"], image["min_ram"]) == (8, 512)
            assert (image["hw_disk_bus"], image["image_original_user"]) == ("virtio", "debian")
            text = (folder / "debian.yml").read_text()
            (folder / "debian.yml").write_text(text.replace("Debian 13", "Debian 14"))
            assert [one["name"] for one in (await service.get("/catalogue"))["images"]] == ["debian:14"]


async def test_k07_only_named_hosts_are_taken_from_a_catalogue(tmp_path: Path) -> None:
    """With `hosts`, images that are somewhere else are left out, and counted."""
    file = tmp_path / "a.yml"
    file.write_bytes(manager("https://evil.example/x.img", NEW))
    one = {"name": "osism", "kind": "image-manager", "url": str(file), "hosts": ["*.debian.org"]}
    async with Running(tmp_path, catalogue={"sources": [one]}) as service:
        found = await service.get("/catalogue")
        assert (found["images"], found["catalogues"][0]["left_out"]) == ([], 2)


async def test_a_submission_has_a_url_or_a_name(tmp_path: Path) -> None:
    """Both, or neither, is a mistake that names the field."""
    async with Running(tmp_path) as service:
        for body in ({}, {"url": "https://example.org/x", "catalogue": "ubuntu"}, {"catalogue": "a b"}):
            status, problem, _headers = await service.call("POST", "/imports", json=body)
            assert (status, problem["code"]) == (400, "request-invalid")
        status, problem, _headers = await service.call("POST", "/imports", json={"catalogue": "ubuntu"})
        assert (status, problem["code"]) == (404, "unknown-name")


async def test_catalogues_come_and_go_with_the_configuration(tmp_path: Path) -> None:
    """What a catalogue that is configured no more left in the store's folder goes with it."""
    async with Origin(STREAMS) as origin, Running(tmp_path, origin, **source(origin)) as service:
        await service.get("/catalogue")
        catalogues = service.service.app.state.services.catalogues
        await catalogues.refresh()
        assert [path.name for path in (service.data / "catalogues").iterdir()] == ["lab"]
        service.write_config(catalogue={"sources": []})
        service.service.reload()
        assert (await service.get("/catalogue"))["catalogues"] == []
        await catalogues.refresh()
        assert list((service.data / "catalogues").iterdir()) == []


MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "no-such-file": ({"url": "/does/not/exist.yml"}, "url"),
    "no-such-key": ({"url": "https://example.org/x", "keys": ["/none.pgp"]}, "keys"),
    "paths-without-a-base": ({"url": "/etc/hostname", "kind": "simplestreams"}, "base_url"),
    "unknown-kind": ({"url": "https://example.org/x", "kind": "other"}, "sources"),
}


@pytest.mark.parametrize(("one", "key"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_catalogue_that_could_not_work_is_a_mistake(one: dict[str, Any], key: str) -> None:
    """The check of the configuration names it, before anybody asks for an image."""
    table = {"name": "lab", "kind": "image-manager"} | one
    with pytest.raises(BadConfig) as caught:
        load_settings(None, {"catalogue": {"sources": [table]}})
    assert any(key in str(mistake) for mistake in caught.value.mistakes)


def test_two_catalogues_have_two_names() -> None:
    """A name stands in provenance, so it means one catalogue."""
    table = {"name": "lab", "kind": "image-manager", "url": "https://example.org/x"}
    with pytest.raises(BadConfig):
        load_settings(None, {"catalogue": {"sources": [table, table]}})


async def test_many_ask_at_once_and_the_source_is_asked_once(tmp_path: Path) -> None:
    """However many searches wait for a catalogue, its documents are fetched one time."""
    async with Origin(STREAMS) as origin, Running(tmp_path, origin, **source(origin)) as service:
        await asyncio.gather(*(service.get("/catalogue") for _ in range(8)))
        catalogues = service.service.app.state.services.catalogues
        await catalogues.refresh()
        paths = [request.path for request in origin.requests if request.header("If-None-Match") is None]
        assert sorted(paths) == ["/r/streams/v1/a.json", "/r/streams/v1/index.json"]
