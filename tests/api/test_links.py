"""Links: whoever has one fetches one image until it ends; nobody else, nothing else, and not for longer."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec
import pytest
from structlog.testing import capture_logs

from fetcher.attest.links import FILE, FolderKeyStorage, Linked, LinkKeys
from fetcher.errors import StoreFailed
from tests.api.image_v2.cloud import DISK, Cloud
from tests.cli.conftest import Fetcher, fetcher
from tests.images import raw
from tests.service import Running

__all__ = ["fetcher"]  # The fixture of the command line.

LARGE = raw(24 << 20)  # More than sockets hold.
LINKS = {"enabled": True, "max_seconds": 7200.0}
Fetched = tuple[int, bytes, dict[str, str]]


class Clock(datetime):
    """The clock of the service, as a test sets it."""

    at = 0.0

    @classmethod
    def now(cls, _zone: Any = None) -> datetime:
        """Tell the time."""
        return datetime.fromtimestamp(cls.at, UTC)


def at_clock(monkeypatch: pytest.MonkeyPatch, links: Any) -> type[Clock]:
    """Have links judged by a clock that stands still now."""
    Clock.at = datetime.now(UTC).timestamp()
    monkeypatch.setattr(links, "datetime", Clock)
    return Clock


async def linked(cloud: Cloud, image_id: str, who: str = "alice", **body: Any) -> tuple[int, Any]:
    """Ask for a link as somebody."""
    headers = {"X-Auth-Token": f"token of {who}"}
    status, made, _ = await cloud.call("POST", f"/images/{image_id}/links", json=body, headers=headers)
    return status, made


async def follow(service: Running, url: str, method: str = "GET", **headers: str) -> Fetched:
    """Fetch a link without any token."""
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    async with service.client.request(method, url, headers=fields) as answer:
        return answer.status, await answer.read(), {k.lower(): v for k, v in answer.headers.items()}


def changed(url: str, path: str | None = None, **fields: str | None) -> str:
    """The same link with something else in it; None leaves a field out."""
    parts = urlsplit(url)
    query = {**dict(parse_qsl(parts.query)), **fields}
    kept = {name: value for name, value in query.items() if value is not None}
    return parts._replace(query=urlencode(kept), path=path or parts.path).geturl()


@asynccontextmanager
async def a_link(folder: Path, **sections: Any) -> AsyncIterator[tuple[Cloud, dict[str, Any], str]]:
    """A service, an image of alice's project, and a link to it."""
    async with Cloud(folder, links=LINKS, **sections) as cloud:
        image = await cloud.make_active(name="A disk; of <mine>")
        status, made = await linked(cloud, image["id"])
        assert status == 201, made
        yield cloud, image, made["url"]


async def test_whoever_has_a_link_fetches_the_image(tmp_path: Path) -> None:
    """Whole, in part, its head alone, or nothing where the copy is current; as a file that runs nowhere."""
    async with a_link(tmp_path) as (cloud, _image, url):
        status, body, headers = await follow(cloud, url)
        assert (status, body) == (200, DISK)
        assert headers["content-disposition"] == 'attachment; filename="A-disk-of-mine.img"'
        assert headers["content-security-policy"] == "sandbox"
        assert headers["x-content-type-options"] == "nosniff"
        assert "set-cookie" not in headers
        assert "sha-512=:" in headers["repr-digest"]
        status, body, part = await follow(cloud, url, Range="bytes=10-19", If_Range=headers["etag"])
        assert (status, body, part["content-range"]) == (206, DISK[10:20], f"bytes 10-19/{len(DISK)}")
        status, body, head = await follow(cloud, url, "HEAD")
        assert (status, body, head["content-length"]) == (200, b"", str(len(DISK)))
        assert (await follow(cloud, url, If_None_Match=headers["etag"]))[0] == 304
        status, _, outside = await follow(cloud, url, Range="bytes=9999-")
        assert (status, outside["content-range"]) == (416, f"bytes */{len(DISK)}")
        assert (await follow(cloud, url, "POST"))[0] == 405


async def test_l01_a_link_with_anything_else_in_it_is_none(tmp_path: Path) -> None:
    """All of these are told by the same words, whether the image exists or not."""
    async with a_link(tmp_path) as (cloud, image, url):
        query = dict(parse_qsl(urlsplit(url).query))
        other = (await cloud.make_active(name="other"))["id"]
        ids = (other, "0" * 8 + "-0000-4000-8000-" + "0" * 12, "x", image["id"].upper())
        wrong = [changed(url, f"/images/{one}/file") for one in ids]
        wrong += [changed(url, expires=str(int(query["expires"]) + delta)) for delta in (1, -1)]
        wrong += [
            changed(url, expires=text) for text in ("", "x", "-1", "9" * 40, "١٢", query["expires"] + " ")
        ]
        wrong += [changed(url, expires="0" + query["expires"])]
        wrong += [changed(url, signature=query["signature"].swapcase() + "=")]
        wrong += [changed(url, key=text) for text in ("", "x", "0" * 12)]
        wrong += [changed(url, signature=text) for text in ("", "é", "0" * 64, query["signature"][:-1])]
        wrong += [changed(url, **{name: None}) for name in query]
        wrong += [url + "&signature=" + query["signature"], url + "&more=1", url.partition("?")[0]]
        told = set()
        for one in wrong:
            status, body, _ = await follow(cloud, one)
            assert status == 403, one
            told.add(json.loads(body)["detail"])
        assert told == {"The link is not good: it was not made here, or was revoked."}
        assert (await follow(cloud, url))[0] == 200


async def test_l02_what_happens_to_an_image_happens_to_its_links(tmp_path: Path) -> None:
    """Deactivated, damaged, given away or deleted: nobody gets the bytes by a link of before."""
    async with a_link(tmp_path) as (cloud, image, url):
        image_id = image["id"]
        await cloud.want(204, "root", "POST", f"/images/{image_id}/actions/deactivate")
        status, body, _ = await follow(cloud, url)
        assert (status, json.loads(body)["detail"]) == (
            403,
            "The link is not good: the image is deactivated.",
        )
        assert (await linked(cloud, image_id))[0] == 403
        await cloud.want(204, "root", "POST", f"/images/{image_id}/actions/reactivate")
        assert (await follow(cloud, url))[0] == 200
        await cloud.patch(200, "root", image_id, {"op": "replace", "path": "/owner", "value": "b"})
        assert (await follow(cloud, url))[0] == 403
        await cloud.patch(200, "root", image_id, {"op": "replace", "path": "/owner", "value": "a"})
        [blob] = [path for path in (tmp_path / "data" / "blobs").rglob("*") if path.is_file()]
        blob.write_bytes(DISK[:-1])
        status, body, _ = await follow(cloud, url)
        assert (status, json.loads(body)["code"]) == (503, "bytes-damaged")
        await cloud.want(204, "alice", "DELETE", f"/images/{image_id}")
        assert (await follow(cloud, url))[0] == 403


async def test_l05_only_the_images_own_project_makes_links(tmp_path: Path) -> None:
    """Readers make none, nor does who merely sees a public image; a stranger learns of no private one."""
    async with Cloud(tmp_path, links=LINKS) as cloud:
        image = await cloud.make_active()
        assert (await linked(cloud, image["id"], "bob"))[0] == 404
        assert (await linked(cloud, image["id"], "rita"))[0] == 403
        assert (await linked(cloud, image["id"], "root"))[0] == 201
        await cloud.patch(
            200, "root", image["id"], {"op": "replace", "path": "/visibility", "value": "public"}
        )
        status, refused = await linked(cloud, image["id"], "bob")
        assert (status, refused["detail"]) == (403, "Not allowed: the image is another project's.")
        assert (await cloud.call("POST", f"/images/{image['id']}/links", json={}))[0] == 401
        queued = await cloud.make()
        assert (await linked(cloud, queued["id"]))[0] == 409
        for seconds in (0, -1, 7201, 1e300, "x"):
            assert (await linked(cloud, image["id"], seconds=seconds))[0] == 400


async def test_l03_the_operator_ends_links(tmp_path: Path) -> None:
    """By a new key, by a lower maximum, by switching them off; all of it holds at once."""
    async with a_link(tmp_path) as (cloud, image, url):
        _, short = await linked(cloud, image["id"], seconds=60)
        cloud.write_config(links=LINKS | {"max_seconds": 600.0, "default_seconds": 60.0})
        cloud.service.reload()
        status, body, _ = await follow(cloud, url)
        assert (status, "for longer than" in json.loads(body)["detail"]) == (403, True)
        assert (await follow(cloud, short["url"]))[0] == 200
        await LinkKeys(FolderKeyStorage(tmp_path / "data" / "keys")).revoke()
        assert (await follow(cloud, short["url"]))[0] == 403
        _, new = await linked(cloud, image["id"])
        assert (await follow(cloud, new["url"]))[0] == 200
        cloud.write_config(links={"enabled": False})
        cloud.service.reload()
        assert (await follow(cloud, new["url"]))[0] == 403
        assert (await linked(cloud, image["id"]))[0] == 403


async def test_a_link_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At its second, by the clock of the service."""
    from fetcher.api.submit import links

    async with a_link(tmp_path) as (cloud, _image, url):
        expires = int(dict(parse_qsl(urlsplit(url).query))["expires"])
        clock = at_clock(monkeypatch, links)
        clock.at = expires - 1.0
        assert (await follow(cloud, url))[0] == 200
        clock.at = float(expires)
        status, body, _ = await follow(cloud, url)
        assert (status, json.loads(body)["detail"]) == (403, "The link is not good: its time is over.")


async def test_l11_a_download_that_has_begun_outlives_its_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes to its last byte; what would go on with it, look at it or ask whether it changed does not."""
    from fetcher.api.submit import links

    async with Cloud(tmp_path, links=LINKS) as cloud:
        image = await cloud.make_active(LARGE)
        _, made = await linked(cloud, image["id"])
        url, clock = made["url"], at_clock(monkeypatch, links)
        async with cloud.client.get(url) as answer:
            first = await answer.content.readexactly(1000)
            clock.at = float(dict(parse_qsl(urlsplit(url).query))["expires"])
            etag = answer.headers["etag"]
            for method, headers in (
                ("GET", {"Range": "bytes=1000-"}),
                ("GET", {"Range": "bytes=1000-", "If_Range": etag}),
                ("GET", {"If_None_Match": etag}),
                ("HEAD", {}),
            ):
                status, body, fields = await follow(cloud, url, method, **headers)
                assert (status, body == b"" or b"time is over" in body) == (403, True), (method, headers)
                assert not {"etag", "content-range", "repr-digest"} & set(fields)
            assert first + await answer.read() == LARGE


async def test_conditions_and_parts_of_a_link_are_judged_as_of_any_download(tmp_path: Path) -> None:
    """Ends, gaps and validators that do not fit; nothing of it depends on a token."""
    size = len(DISK)
    async with a_link(tmp_path) as (cloud, _image, url):
        etag = (await follow(cloud, url))[2]["etag"]
        for asked, wanted in (
            ("bytes=-5", DISK[-5:]),
            ("bytes=0-0", DISK[:1]),
            (f"bytes={size - 1}-{size + 9}", DISK[-1:]),
        ):
            status, body, fields = await follow(cloud, url, Range=asked)
            assert (status, body, fields["content-length"]) == (206, wanted, str(len(wanted))), asked
        for asked in ("bytes=-0", f"bytes={size}-", "bytes=9-5", "pages=1-2", "bytes=x"):
            status, body, _ = await follow(cloud, url, Range=asked)
            assert (status, status == 416 or body == DISK) in {(416, True), (200, True)}, asked
        status, body, _ = await follow(cloud, url, Range="bytes=1-2", If_Range='"another"')
        assert (status, body) == (200, DISK)
        assert (await follow(cloud, url, "HEAD", If_None_Match=f'"x", {etag}'))[0] == 304
        assert (await follow(cloud, url, If_None_Match="*"))[0] == 304
        assert (await follow(cloud, url, If_None_Match='"another"'))[:2] == (200, DISK)
        status, body, fields = await follow(cloud, url, "HEAD", Range="bytes=1-2")
        assert (status, body) in {(200, b""), (206, b"")}
        wrong = changed(url, signature="0" * 64)
        for headers in ({"Range": "bytes=0-9"}, {"If_None_Match": etag}, {"If_None_Match": "*"}):
            for method in ("GET", "HEAD"):
                status, _, fields = await follow(cloud, wrong, method, **headers)
                assert (status, "etag" in fields, "content-range" in fields) == (403, False, False)


async def test_l10_a_link_is_good_for_reading_alone(tmp_path: Path) -> None:
    """Any other method is refused, says which are not, and changes nothing, whatever stands in the link."""
    async with a_link(tmp_path) as (cloud, _image, url):
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            for one in (url, changed(url, signature="0" * 64)):
                status, _, fields = await follow(cloud, one, method)
                assert status == 405, method
                assert set(fields["allow"].replace(" ", "").split(",")) == {"GET", "HEAD"}
        status, body, _ = await follow(cloud, url, X_HTTP_Method_Override="DELETE")
        assert (status, body) == (200, DISK)
        assert (await follow(cloud, url))[:2] == (200, DISK)


async def test_l04_no_log_has_a_signature(tmp_path: Path) -> None:
    """Neither made, followed nor refused is it written down; no file of the store has it."""
    with capture_logs() as lines:
        async with a_link(tmp_path) as (cloud, _image, url):
            signature = dict(parse_qsl(urlsplit(url).query))["signature"]
            await follow(cloud, url)
            await follow(cloud, changed(url, expires="1"))
    assert {"link.made", "request.refused"} <= {line["event"] for line in lines}
    assert signature not in str(lines)
    for path in (tmp_path / "data").rglob("*"):
        assert not path.is_file() or signature.encode() not in path.read_bytes(), path


async def test_a_second_service_imports_by_a_link(tmp_path: Path) -> None:
    """A link is a URL like any other."""
    async with a_link(tmp_path) as (cloud, _image, url):
        folder = tmp_path / "second"
        folder.mkdir()
        port = urlsplit(cloud.base).port
        allow = [{"cidr": "127.0.0.1/32", "ports": [port]}]
        async with Running(folder, address={"allow": allow}) as second:
            ended = await second.run(url=url, disk_format="raw")
            assert ended["state"] == "succeeded", ended
            assert ended["url"].endswith("signature=REDACTED")


async def test_the_command_line_makes_and_ends_links(fetcher: Fetcher, tmp_path: Path) -> None:
    """`fetcher link` prints a URL alone on standard output; `fetcher keys revoke-links` ends it."""
    async with Running(tmp_path, links=LINKS) as service:
        image_id = (
            await service.call("POST", "/v2/images", json={"disk_format": "raw", "container_format": "bare"})
        )[1]["id"]
        octets = {"Content-Type": "application/octet-stream"}
        assert (await service.call("PUT", f"/v2/images/{image_id}/file", data=DISK, headers=octets))[0] == 204
        made = await fetcher("link", image_id[:8], "--hours", "0.5", "--server", service.base)
        assert made.err.startswith("It ends at"), made.err
        assert (await follow(service, made.out.strip()))[1] == DISK
        revoked = await fetcher("keys", "revoke-links", "--config", str(service.config))
        assert revoked.code == 0, revoked.err
        assert (await follow(service, made.out.strip()))[0] == 403


def linked_value() -> Linked:
    return Linked(image_id="i", address="s", project_id="p", expires=1)


async def test_keys_take_turns(tmp_path: Path) -> None:
    """A key signs for as long as a link may live, and is known for as long again."""
    keys = LinkKeys(FolderKeyStorage(tmp_path / "keys"))
    first = await keys.current(3600)
    assert await keys.current(3600) == first
    assert (tmp_path / "keys" / FILE).stat().st_mode & 0o777 == 0o600
    second = await keys.current(0.0)  # The first one has signed for long enough.
    assert second.key_id != first.key_id
    assert await keys.find(first.key_id) is None  # No link of it can be good any more.
    old = second.created_at - timedelta(seconds=90)
    (tmp_path / "keys" / FILE).write_bytes(
        msgspec.json.encode([msgspec.structs.replace(second, created_at=old)])
    )
    third = await keys.current(60)
    assert [key.key_id for key in await keys.known()] == [third.key_id, second.key_id]
    assert not third.is_signature(second.signature(linked_value()), linked_value())
    assert (await keys.revoke()).key_id != third.key_id
    assert len(await keys.known()) == 1


async def test_a_key_that_others_can_read_signs_nothing(tmp_path: Path) -> None:
    """Nor does one that is no key; what to do about it is told."""
    keys = LinkKeys(FolderKeyStorage(tmp_path / "keys"))
    await keys.current(60)
    file = tmp_path / "keys" / FILE
    file.chmod(0o644)
    with pytest.raises(StoreFailed, match="chmod 600"):
        await keys.current(60)
    file.chmod(0o600)
    file.write_bytes(b"[{")
    with pytest.raises(StoreFailed, match="cannot be read"):
        await keys.find("x")
