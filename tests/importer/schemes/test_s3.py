"""`s3://` against a real server of buckets, which checks every signature, and against a hostile one."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from fetcher.config import load_settings
from fetcher.errors import InvalidRequest, InvalidUrl, PartMissing
from fetcher.guards.request.url import CheckedUrls
from fetcher.importer.schemes import s3
from fetcher.importer.schemes.registry import take
from fetcher.model import BucketAccess, Submission
from tests.images import raw
from tests.importer.schemes.conftest import OBJECTS
from tests.lab import behaviours
from tests.lab.bucket import KEYS, UNKNOWN, BucketServer
from tests.lab.origin import Exchange, Origin
from tests.service import Running

BODY = raw(300_000)
SETTINGS = load_settings()


def located(url: str, **access: Any) -> str:
    """Where an object is asked for."""
    submission = Submission(url=url, max_bytes=1, s3=BucketAccess(**access))
    return take(submission, CheckedUrls(SETTINGS))[1].url


@pytest.mark.parametrize(
    ("url", "access", "asked"),
    [
        ("s3://images/a.img", {}, "https://images.s3.us-east-1.amazonaws.com/a.img"),
        (" S3://images/a.img\n", {"region": "eu-west-1"}, "https://images.s3.eu-west-1.amazonaws.com/a.img"),
        ("s3://my.images/a", {}, "https://s3.us-east-1.amazonaws.com/my.images/a"),
        ("s3://My_Images/a", {}, "https://s3.us-east-1.amazonaws.com/My_Images/a"),
        ("s3://images/a", {"addressing": "path"}, "https://s3.us-east-1.amazonaws.com/images/a"),
        ("s3://images/a", {"endpoint": "https://h.example:443/"}, None),
        ("s3://images/a", {"endpoint": "https://h.example"}, "https://h.example/images/a"),
        (
            "s3://images/a",
            {"endpoint": "https://h.example", "addressing": "virtual"},
            "https://images.h.example/a",
        ),
        (
            "s3://images/a b/50%?x=1+2#c.img",
            {"endpoint": "https://h.example"},
            "https://h.example/images/a%20b/50%25%3Fx%3D1%2B2%23c.img",
        ),
        (
            "s3://images/ü.img?versionId=3sL4kqt.",
            {"endpoint": "https://h.example"},
            "https://h.example/images/%C3%BC.img?versionId=3sL4kqt.",
        ),
        ("s3://images", {}, None),
        ("s3://images/", {}, None),
        ("s3://images/folder/", {}, None),
        ("s3://images/a/../../other/b", {}, None),
        ("s3://images//a", {}, None),
        ("s3://images/a\n", {"endpoint": "https://h.example"}, "https://h.example/images/a"),
        ("s3://images/a\nb", {}, None),
        ("s3://images/" + "k" * 1025, {}, None),
        ("s3:///a", {}, None),
        ("s3://ab/c", {}, None),
        ("s3://evil.example@images/a", {}, None),
        ("s3://images/a", {"region": "us-east-1.evil.example/"}, None),
        ("s3://images/a", {"endpoint": "https://user@h.example"}, None),
        ("s3://images/a", {"endpoint": "https://h.example/path"}, None),
        ("s3://images/a", {"endpoint": "ftp://h.example"}, None),
        ("s3://images/a", {"secret_access_key": "x"}, None),
        ("s3://images/a", {"access_key_id": "x"}, None),
        ("s3://images/a", {"access_key_id": "x,y", "secret_access_key": "x"}, None),
        ("s3://images/a", {"access_key_id": "x", "secret_access_key": "x\ny"}, None),
        ("s3://k:s@images/a", {"access_key_id": "x", "secret_access_key": "y"}, None),
        ("s3://my.images/a", {"endpoint": "https://h.example", "addressing": "virtual"}, None),
    ],
)
def test_a_url_is_where_the_object_is(url: str, access: dict[str, str], asked: str | None) -> None:
    """The key as the console shows it, the bucket in the path or before the host; else it is refused."""
    if asked is None:
        with pytest.raises((InvalidUrl, InvalidRequest)):
            located(url, **access)
    else:
        assert located(url, **access) == asked


async def test_a_private_object_becomes_an_image(tmp_path: Path, buckets: BucketServer) -> None:
    """Signed; the keys are in no answer, and in no row once the import has ended."""
    async with Running(tmp_path, buckets) as service:  # type: ignore[arg-type] # it has a host and a port
        for key in ("disk.qcow2", "folder/a disk, 50 % (ü).qcow2"):
            fields = {"url": f"s3://images/{key}", "s3": {"endpoint": buckets.endpoint, **KEYS}}
            ended = await service.run(**fields, disk_format="qcow2")
            assert ended["state"] == "succeeded", ended["verdict"]
            assert ended["url"].startswith("s3://images/")
            assert ended["progress"]["received_bytes"] == len(OBJECTS[key])
            assert ended["submission"]["s3"]["signed"] is True
            told = await service.get(f"/imports/{ended['id']}/provenance")
            assert "hush" not in str([ended, told])
            assert KEYS["access_key_id"] not in str([ended, told])
        with closing(sqlite3.connect(service.data / "index.sqlite")) as index:
            assert index.execute("SELECT count(*) FROM import_secrets").fetchone() == (0,)
            assert "hush" not in str(list(index.iterdump()))


async def test_keys_in_the_url_and_no_keys_at_all(tmp_path: Path, buckets: BucketServer) -> None:
    """The first are taken for what they are; a public object needs none."""
    place = {"endpoint": buckets.endpoint}
    async with Running(tmp_path, buckets) as service:  # type: ignore[arg-type] # it has a host and a port
        url = "s3://AKIALAB:hush%2Fwith%2Bsigns%2F0123456789@images/plain.img"
        ended = await service.run(url=url, s3=place)
        assert ended["state"] == "succeeded", ended["verdict"]
        assert ended["url"] == "s3://images/plain.img"
        ended = await service.run(url="s3://open/plain.img", s3=place)
        assert ended["state"] == "succeeded", ended["verdict"]
        assert ended["submission"]["s3"]["signed"] is False


@pytest.mark.parametrize(
    ("url", "keys", "error", "says"),
    [
        ("s3://images/none.img", KEYS, "NoSuchKey", "Check the key"),
        ("s3://no-such-bucket/a.img", KEYS, "NoSuchBucket", "name of the bucket"),
        ("s3://images/plain.img", {}, "AccessDenied", "give access_key_id"),
        ("s3://images/plain.img", UNKNOWN, "InvalidAccessKeyId", "Check access_key_id"),
        (
            "s3://images/plain.img",
            {**KEYS, "secret_access_key": "wrong"},
            "SignatureDoesNotMatch",
            "Check secret_access_key",
        ),
    ],
)
async def test_errors_of_the_server_lead_to_the_image(  # noqa: PLR0917 - one case
    tmp_path: Path, buckets: BucketServer, url: str, keys: dict[str, str], error: str, says: str
) -> None:
    """By the server's own name of what is wrong, with what to do about it; a probe says the same."""
    fields = {"url": url, "s3": {"endpoint": buckets.endpoint, **keys}}
    async with Running(tmp_path, buckets) as service:  # type: ignore[arg-type] # it has a host and a port
        ended = await service.run(**fields)
        verdict = ended["verdict"]
        assert (verdict["code"], verdict["fields"]["error"]) == ("bucket-refused", error)
        assert says in verdict["advice"]
        assert len(ended["attempts"]) == 1
        _, found, _ = await service.call("POST", "/imports/probe", json=fields)
        assert [refusal["fields"]["error"] for refusal in found["refusals"]] == [error]


async def test_a_probe_sees_the_object_and_the_checksum_file_beside_it(
    tmp_path: Path, buckets: BucketServer
) -> None:
    """Signed likewise, and offered."""
    import hashlib

    digest = hashlib.sha256(OBJECTS["plain.img"]).hexdigest()
    assert buckets.put("images", "plain.img.sha256", f"{digest}  plain.img\n".encode()) == 200
    fields = {"url": "s3://images/plain.img", "s3": {"endpoint": buckets.endpoint, **KEYS}}
    async with Running(tmp_path, buckets) as service:  # type: ignore[arg-type] # it has a host and a port
        _, found, _ = await service.call("POST", "/imports/probe", json={**fields, "disk_format": "raw"})
        assert (found["accepted"], found["size"], found["name"]) == (True, 300_000, "plain.img"), found
        assert found["checksum_file"]["digest"] == f"sha256:{digest}"
        listed = {"checksum_url": "s3://images/plain.img.sha256"}
        ended = await service.run(**fields, **listed)
        assert ended["verified_by"] == "sums", ended["verdict"]


def error_of(code: str, extra: str = "") -> bytes:
    return f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>m</Message>{extra}</Error>'.encode()


async def test_a_bucket_elsewhere_is_followed_to_its_region(tmp_path: Path) -> None:
    """Each request is signed for the region that it goes to, at the operator's endpoint there alone."""
    regions: list[str] = []

    async def server(exchange: Exchange) -> None:
        signed = exchange.request.header("Authorization") or ""
        regions.append(signed.split("/")[2])
        if regions[-1] != "eu-west-1":
            fields = {"x-amz-bucket-region": "eu-west-1", "Content-Length": 0}
            await exchange.send_head(301, fields)
        else:
            await behaviours.serve(BODY, etag='"1"')(exchange)

    async with Origin({"*": server}) as origin:
        place = {"endpoint": f"http://127.0.0.1:{origin.port}", **KEYS}
        async with Running(tmp_path, origin) as service:
            ended = await service.run(url="s3://images/x.img", s3=place)
            assert ended["state"] == "succeeded", ended["verdict"]
            assert regions == ["us-east-1", "eu-west-1"]
            assert [hop["status"] for hop in ended["redirects"]] == [301, 200]


async def test_regions_that_never_end_do(tmp_path: Path) -> None:
    """A server that names one region after the other is given up, and one that names none of them too."""
    number = iter(range(1000))

    async def server(exchange: Exchange) -> None:
        fields = {"x-amz-bucket-region": f"region-{next(number)}", "Content-Length": 0}
        await exchange.send_head(301, fields)

    bad = behaviours.status(301, fields={"x-amz-bucket-region": "evil.example/", "Content-Length": "0"})
    async with Origin({"/images/a": server, "/images/b": bad}) as origin:
        place = {"endpoint": f"http://127.0.0.1:{origin.port}", **KEYS}
        async with Running(tmp_path, origin) as service:
            ended = await service.run(url="s3://images/a", s3=place)
            assert ended["verdict"]["code"] == "too-many-redirects"
            assert len(origin.requests) == 11
            ended = await service.run(url="s3://images/b", s3=place)
            assert ended["verdict"]["code"] == "bucket-refused"


async def test_a_signature_goes_to_no_other_host(tmp_path: Path) -> None:
    """A redirect elsewhere is followed without it, and without the session's token."""
    async with (
        Origin({"/x": behaviours.serve(BODY)}, host="127.0.0.3") as far,
        Origin({"*": behaviours.redirect(far.url("/x"))}) as origin,
        Running(tmp_path, origin, far) as service,
    ):
        place = {"endpoint": f"http://127.0.0.1:{origin.port}", **KEYS, "session_token": "hush-token"}
        ended = await service.run(url="s3://images/x.img", s3=place)
        assert ended["state"] == "succeeded", ended["verdict"]
        assert "AWS4-HMAC-SHA256" in (origin.requests[0].header("Authorization") or "")
        assert origin.requests[0].header("x-amz-security-token") == "hush-token"
        names = {name.lower() for name, _ in far.requests[0].fields}
        assert not {"authorization", "x-amz-security-token", "x-amz-date"} & names


async def test_each_attempt_and_each_range_is_signed_anew(tmp_path: Path) -> None:
    """A connection that breaks off is taken up again by a range, under a signature of its own."""
    async with Origin({"*": behaviours.cut(BODY, 100_000, fields={"ETag": '"1"'})}) as origin:
        place = {"endpoint": f"http://127.0.0.1:{origin.port}", **KEYS}
        async with Running(tmp_path, origin) as service:
            ended = await service.run(url="s3://images/x.img", s3=place)
            assert ended["state"] == "succeeded", ended["verdict"]
        assert len(origin.requests) >= 2
        assert origin.requests[1].header("Range") == "bytes=100000-"
        assert all("Signature=" in (request.header("Authorization") or "") for request in origin.requests)


@pytest.mark.parametrize(
    ("status", "body", "code", "error"),
    [
        (403, error_of("RequestTimeTooSkewed"), "bucket-refused", "RequestTimeTooSkewed"),
        (403, error_of("InvalidObjectState"), "bucket-refused", "InvalidObjectState"),
        (400, error_of("ExpiredToken"), "bucket-refused", "ExpiredToken"),
        (403, error_of("<b>Made</b>"), "source-status", None),
        (403, error_of("MadeUpByAStranger"), "bucket-refused", "status 403"),
        (403, b"<html>", "source-status", None),
        (403, b'<!DOCTYPE x [<!ENTITY a "b">]><Error><Code>&a;</Code></Error>', "source-status", None),
        (403, b"<Error><Code>AccessDenied</Code></Error>" + b" " * 100_000, "bucket-refused", "AccessDenied"),
        (403, b"", "source-status", None),
    ],
)
async def test_what_a_hostile_server_says_is_told_in_our_words(
    tmp_path: Path, status: int, body: bytes, code: str, error: str | None
) -> None:
    """Codes that are known by their names, others by their status; its text is shown nowhere."""
    async with Origin({"*": behaviours.status(status, body=body)}) as origin:
        place = {"endpoint": f"http://127.0.0.1:{origin.port}", **KEYS}
        async with Running(tmp_path, origin) as service:
            ended = await service.run(url="s3://images/x.img", s3=place)
            assert ended["verdict"]["code"] == code
            assert ended["verdict"]["fields"].get("error") == error
            assert "MadeUp" not in str(ended)


async def test_overload_is_waited_out(tmp_path: Path) -> None:
    """SlowDown is no verdict."""
    slow = behaviours.status(503, body=error_of("SlowDown"))
    async with Origin({"*": behaviours.in_turn(slow, behaviours.serve(BODY))}) as origin:
        place = {"endpoint": f"http://127.0.0.1:{origin.port}"}
        async with Running(tmp_path, origin) as service:
            ended = await service.run(url="s3://images/x.img", s3=place)
            assert ended["state"] == "succeeded", ended["verdict"]
            assert [attempt["code"] for attempt in ended["attempts"]] == ["bucket-refused", "ok"]


async def test_the_operator_decides_which_endpoints_there_are(tmp_path: Path) -> None:
    """Others are refused before anything is asked, and so is the scheme where it is switched off."""
    only = {"any_endpoint": False, "endpoints": ["https://ours.example"]}
    place = {"endpoint": "https://other.example"}
    async with Running(tmp_path, s3=only) as service:
        status, told, _ = await service.call("POST", "/imports", json={"url": "s3://images/a", "s3": place})
        assert (status, told["field"]) == (400, "s3.endpoint")
        limits = (await service.get("/limits"))["limits"]
        assert limits["s3_any_endpoint_allowed"]["value"] is False
        assert limits["source_schemes"]["value"] == ["https", "http", "s3", "oci"]
    (tmp_path / "off").mkdir()
    async with Running(tmp_path / "off", s3={"enabled": False}) as service:
        status, told, _ = await service.call("POST", "/imports", json={"url": "s3://images/a"})
        assert (status, told["code"]) == (400, "url-invalid")
        assert "s3" not in (await service.get("/limits"))["limits"]["source_schemes"]["value"]


def test_without_the_signer_keys_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command that installs it; public objects need none."""
    monkeypatch.setattr(s3, "find_spec", lambda _name: None)
    with pytest.raises(PartMissing) as refused:
        located("s3://images/a", **KEYS)
    assert "make setup EXTRAS=s3" in refused.value.advice.format(extra=refused.value.extra)
    assert located("s3://images/a")


async def test_an_import_goes_on_after_a_restart(tmp_path: Path, buckets: BucketServer) -> None:
    """Its keys are in the index until it ends, and nowhere else."""
    fields = {"url": "s3://images/plain.img", "s3": {"endpoint": buckets.endpoint, **KEYS}}
    gate = asyncio.Event()
    async with Origin({"*": behaviours.gated(behaviours.serve(BODY), gate)}) as origin:
        caps = {"max_running": 1}
        async with Running(tmp_path, buckets, origin, imports=caps) as service:  # type: ignore[arg-type] # the server answers like an origin
            await service.submit(url=origin.url("/x"))
            await origin.wait_requests(1)
            waiting = await service.submit(**fields)
        gate.set()
        async with Running(tmp_path, buckets, origin) as service:  # type: ignore[arg-type] # likewise
            ended = await service.ended(waiting["id"])
            assert ended["state"] == "succeeded", ended["verdict"]
