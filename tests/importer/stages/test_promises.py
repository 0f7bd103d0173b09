"""What a submission may promise of its bytes: checksum files, metalinks, and what the source says itself."""

import base64
import hashlib
from pathlib import Path
from typing import Any

import pytest

from tests.images import raw
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.service import Running

BODY = raw(100_000)
SHA256 = hashlib.sha256(BODY).hexdigest()
SUMS = f"{'0' * 64}  other.img\n{SHA256} *disk.img\n".encode()


def repr_digest(body: bytes) -> dict[str, str]:
    return {"Repr-Digest": f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"}


async def test_a_checksum_file_verifies_the_bytes(tmp_path: Path) -> None:
    """The digest under the image's own name counts; the provenance tells where it came from."""
    routes = {"/a/disk.img": behaviours.serve(BODY), "/a/SHA256SUMS": behaviours.serve(SUMS)}
    async with Origin(routes) as origin, Running(tmp_path, origin, checksum={"required": True}) as service:
        sums = origin.url("/a/SHA256SUMS?key=hush")
        ended = await service.run(url=origin.url("/a/disk.img"), checksum_url=sums)
        assert (ended["state"], ended["verified_by"]) == ("succeeded", "sums")
        assert ended["submission"]["checksum_url"].endswith("key=REDACTED")
        story = await service.get(f"/imports/{ended['id']}/provenance")
        assert story["sums"]["digest"] == {"algorithm": "sha256", "value": SHA256}
        assert "hush" not in str(story) + str(ended)
        origin.routes["/a/disk.img"] = behaviours.serve(BODY[1:])
        ended = await service.run(url=origin.url("/a/disk.img"), checksum_url=sums)
        assert ended["verdict"]["code"] == "checksum-mismatch"
        assert ended["verdict"]["fields"]["source"] == "sums"


BAD_SUMS: dict[str, tuple[behaviours.Behaviour, str]] = {
    "missing": (behaviours.status(404), "source-status"),
    "of another file": (behaviours.serve(b"0" * 64 + b"  other.img\n" * 2), "checksum-file-unusable"),
    "endless": (behaviours.endless(), "checksum-file-unusable"),
}


@pytest.mark.parametrize("name", BAD_SUMS)
async def test_a_useless_checksum_file_ends_the_import_before_its_bytes(name: str, tmp_path: Path) -> None:
    """What cannot be verified as asked for is not pulled."""
    behaviour, code = BAD_SUMS[name]
    routes = {"/disk.img": behaviours.serve(BODY), "/SUMS": behaviour}
    async with Origin(routes) as origin, Running(tmp_path, origin) as service:
        ended = await service.run(url=origin.url("/disk.img"), checksum_url=origin.url("/SUMS"))
        assert ended["verdict"]["code"] == code
        # A file of another name: the answer's head may tell that the image is called so.
        asked = ["/SUMS", "/disk.img"] if name == "of another file" else ["/SUMS"]
        assert [request.path for request in origin.requests] == asked
        assert ended["progress"]["received_bytes"] == 0
        assert service.traces() == []


async def test_what_the_source_says_itself_is_compared(tmp_path: Path) -> None:
    """A digest in the answer finds bytes that were damaged on the way; it counts for no more than that."""
    routes = {
        "/good": behaviours.serve(BODY, fields=repr_digest(BODY)),
        "/bad": behaviours.serve(BODY, fields=repr_digest(b"other")),
        "/none": behaviours.serve(BODY),
    }
    async with Origin(routes) as origin, Running(tmp_path, origin) as service:
        assert (await service.run(url=origin.url("/good")))["verified_by"] == "header"
        assert (await service.run(url=origin.url("/none")))["verified_by"] == "none"
        bad = await service.run(url=origin.url("/bad"))
        assert (bad["verdict"]["code"], bad["verdict"]["fields"]["source"]) == ("checksum-mismatch", "header")
        good = await service.run(url=origin.url("/bad"), checksum=f"sha256:{SHA256}")
        assert good["verified_by"] == "submitter"


def metalink(inner: str) -> dict[str, Any]:
    namespace = "urn:ietf:params:xml:ns:metalink"
    document = f'<metalink xmlns="{namespace}"><file name="disk.img">{inner}</file></metalink>'
    return {"data": document.encode(), "headers": {"Content-Type": "application/metalink4+xml"}}


async def test_a_metalink_is_a_submission(tmp_path: Path) -> None:
    """Its URLs are tried in their order, its digest verifies the bytes, its name names the image."""
    routes = {"/gone": behaviours.status(404), "/x": behaviours.serve(BODY)}
    async with Origin(routes) as origin, Running(tmp_path, origin) as service:
        inner = f"""<size>{len(BODY)}</size><hash type="sha-256">{SHA256}</hash>
            <url priority="2">{origin.url("/x")}</url><url priority="1">{origin.url("/gone")}</url>"""
        path = "/imports?disk_format=raw"
        status, created, _ = await service.call("POST", path, **metalink(inner))
        assert (status, created["name"], len(created["submission"]["mirrors"])) == (202, "disk.img", 1)
        ended = await service.ended(created["id"])
        assert (ended["state"], ended["verified_by"]) == ("succeeded", "submitter")
        assert [request.path for request in origin.requests] == ["/gone", "/x"]


REFUSED: dict[str, tuple[str, dict[str, Any]]] = {
    "an inner URL": ("/imports", metalink("<url>http://127.0.0.1/x</url>")),
    "another field": ("/imports?max_bytes=1", metalink("<url>https://a.example/x</url>")),
    "no URL": ("/imports", metalink("")),
    "an inner mirror": (
        "/imports",
        {"json": {"url": "https://a.example/x", "mirrors": ["http://127.0.0.1/x"]}},
    ),
    "an inner checksum file": (
        "/imports",
        {"json": {"url": "https://a.example/x", "checksum_url": "http://127.0.0.1/x"}},
    ),
    "too many mirrors": (
        "/imports",
        {"json": {"url": "https://a.example/x", "mirrors": [f"https://a.example/{n}" for n in range(17)]}},
    ),
    "a header of ours": (
        "/imports",
        {"json": {"url": "https://a.example/x", "headers": {"Range": "bytes=0-"}}},
    ),
    "a split header": (
        "/imports",
        {"json": {"url": "https://a.example/x", "headers": {"X": "a\r\nHost: b"}}},
    ),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_leads_inside_is_refused_at_once(name: str, tmp_path: Path) -> None:
    """Every URL of a submission is judged like the first, before anything is looked up."""
    path, options = REFUSED[name]
    async with Running(tmp_path) as service:
        status, problem, _ = await service.call("POST", path, **options)
        assert (status, problem["code"]) in {(400, "url-invalid"), (400, "request-invalid")}
        assert service.traces() == []
