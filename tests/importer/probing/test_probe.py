"""A look at a source before it is imported: what it tells, what it costs, and what it does not tell."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from tests.images import qcow2, raw
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.service import Running

BODY = raw(300_000)
SHA256 = hashlib.sha256(BODY).hexdigest()


async def look(service: Running, url: str, status: int = 200, **fields: Any) -> dict[str, Any]:
    async with service.client.post("/imports/probe", json={"url": url, **fields}) as answer:
        document: dict[str, Any] = await answer.json()
        assert answer.status == status, document
        return document


async def test_a_look_tells_what_an_import_would_find(tmp_path: Path) -> None:
    """Hops, size, name, whether it resumes, and what the first bytes are; nothing is imported or left."""
    fields = [("Content-Disposition", 'attachment; filename="real.qcow2"')]
    image = qcow2() + bytes(200_000)
    routes = {"/a": behaviours.redirect("/b"), "/b": behaviours.serve(image, fields=fields)}
    async with Origin(routes) as origin, Running(tmp_path, origin) as service:
        found = await look(service, origin.url("/a"))
        assert [hop["status"] for hop in found["redirects"]] == [302, 200]
        assert found["url"] == origin.url("/b")
        assert (found["name"], found["size"]) == ("real.qcow2", len(image))
        assert found["format"]["disk_format"] == "qcow2"
        assert found["format"]["virtual_bytes"] > 0
        assert found["accepted"] is True
        assert found["refusals"] == []
        assert (await service.get("/imports"))["imports"] == []
        assert service.traces() == []
        assert len([request for request in origin.requests if request.path in routes]) == 2


@pytest.mark.parametrize(
    ("behaviour", "fields", "guard", "code"),
    [
        (behaviours.serve(BODY), {"max_bytes": 1000}, "size", "too-many-bytes"),
        (behaviours.serve(BODY), {"disk_format": "qcow2"}, "format", "format-mismatch"),
        (behaviours.serve(b"<html>Sign in</html>"), {"disk_format": None}, "format", "format-unknown"),
        (behaviours.serve(b""), {"disk_format": None}, "format", "empty"),
        (behaviours.status(404), {}, "response", "source-status"),
        (behaviours.redirect("/x"), {}, "redirects", "too-many-redirects"),
        (behaviours.redirect("ftp://a.example/"), {}, "redirects", "bad-redirect"),
    ],
)
async def test_what_would_refuse_it_is_told(
    behaviour: behaviours.Behaviour, fields: dict[str, Any], guard: str, code: str, tmp_path: Path
) -> None:
    """The same code that the import ends with, and the guard that says so."""
    async with Origin({"/x": behaviour}) as origin, Running(tmp_path, origin) as service:
        found = await look(service, origin.url("/x"), **fields)
        assert found["accepted"] is False
        assert (found["refusals"][0]["guard"], found["refusals"][0]["code"]) == (guard, code)
        ended = await service.run(url=origin.url("/x"), **fields)
        assert ended["verdict"]["code"] == code
        assert ended["verdict"]["title"] == found["refusals"][0]["title"]


@pytest.mark.parametrize(
    "name", ["SHA256SUMS", "x.img.sha256", "x.img.DIGESTS", "CHECKSUM", "Cloud-39-CHECKSUM"]
)
async def test_a_checksum_file_beside_it_is_offered(name: str, tmp_path: Path) -> None:
    """Found by its name or by the folder's page; what it offers, an import takes."""
    page = behaviours.serve(f'<html><a href="../">up</a><a href="{name}">{name}</a></html>'.encode())
    sums = behaviours.serve(f"{SHA256}  x.img\n".encode())
    routes = {"/9/x.img": behaviours.serve(BODY), f"/9/{name}": sums}
    if name.startswith("Cloud"):
        routes["/9/"] = page
    async with Origin(routes) as origin, Running(tmp_path, origin) as service:
        found = await look(service, origin.url("/9/x.img"))
        assert found["digest"] is None
        offered = found["checksum_file"]
        assert offered == {"url": origin.url(f"/9/{name}"), "name": name, "digest": f"sha256:{SHA256}"}
        ended = await service.run(url=origin.url("/9/x.img"), checksum_url=offered["url"])
        assert ended["verified_by"] == "sums"


async def test_a_file_about_other_images_is_not_offered(tmp_path: Path) -> None:
    """It lies there, and lists something else."""
    sums = behaviours.serve(f"{SHA256}  y.img\n".encode())
    routes = {"/x.img": behaviours.serve(BODY), "/SHA256SUMS": sums}
    async with Origin(routes) as origin, Running(tmp_path, origin) as service:
        assert (await look(service, origin.url("/x.img")))["checksum_file"] is None
        sums_url = origin.url("/SHA256SUMS")
        named = await look(service, origin.url("/x.img"), checksum_url=sums_url, disk_format="raw")
        assert [refusal["guard"] for refusal in named["refusals"]] == ["checksum"]


async def test_a_look_counts_as_a_submission(tmp_path: Path) -> None:
    """Else the limits of submissions would not limit what others are asked."""
    async with (
        Origin({"/x": behaviours.serve(BODY)}) as origin,
        Running(tmp_path, origin, imports={"max_submits_per_minute": 2}) as service,
    ):
        await look(service, origin.url("/x"))
        await look(service, origin.url("/x"))
        assert (await look(service, origin.url("/x"), status=429))["code"] == "queue-full"


async def test_a_look_takes_no_more_than_the_first_bytes(tmp_path: Path) -> None:
    """An endless source is hung up on."""
    async with Origin({"/x": behaviours.endless()}) as origin, Running(tmp_path, origin) as service:
        await look(service, origin.url("/x"))
        await origin.wait_idle()
        assert origin.sent_bytes < 20_000_000


async def test_a_look_tells_outsiders_no_more_than_an_import(tmp_path: Path) -> None:
    """What a name or a redirect into a network leads to is told in the same words, without an address."""
    routes = {
        "/in": behaviours.redirect("http://in.invalid/"),
        "/at": behaviours.redirect("http://10.0.0.1/"),
    }
    async with Origin(routes) as origin, Running(tmp_path, origin) as service:
        for url in (origin.url("/in"), origin.url("/at"), origin.url("/gone")):
            found = await look(service, url)
            ended = await service.run(url=url)
            assert {key: found["refusals"][0][key] for key in ("code", "title", "advice", "fields")} == (
                ended["verdict"]
            )
            assert all(set(hop) == {"url", "status"} for hop in found["redirects"])
        assert (await look(service, "http://localhost/x", status=400))["code"] == "url-invalid"


async def test_an_image_is_called_as_its_file_is(tmp_path: Path) -> None:
    """Content-Disposition, else the URL; what somebody gave stays."""
    fields = [("Content-Disposition", "attachment; filename=told.img")]
    routes = {
        "/d": behaviours.serve(BODY, fields=fields),
        "/plain.img": behaviours.serve(BODY),
        "/latest": behaviours.redirect("/plain.img"),
        "/named.img": behaviours.redirect("/0123abcd"),
        "/0123abcd": behaviours.serve(BODY),
    }
    wanted = {"/d": "told.img", "/plain.img": "plain.img", "/latest": "plain.img", "/named.img": "named.img"}
    async with Origin(routes) as origin, Running(tmp_path, origin) as service:
        for path, name in wanted.items():
            assert (await look(service, origin.url(path)))["name"] == name
            ended = await service.run(url=origin.url(path))
            assert (await service.get(f"/v2/images/{ended['image_id']}"))["name"] == name
        ended = await service.run(url=origin.url("/d"), name="mine")
        assert (await service.get(f"/v2/images/{ended['image_id']}"))["name"] == "mine"
