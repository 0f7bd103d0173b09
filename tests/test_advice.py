"""Advice fits the case, and whoever follows it gets their image."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from fetcher import errors
from fetcher.advice import CASES, advice_for
from fetcher.config import load_settings
from fetcher.errors import Failure, table
from fetcher.importer.schemes.registry import check_source
from tests.images import raw
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.service import Running

BODY = raw(100_000)
SHA256 = hashlib.sha256(BODY).hexdigest()


def test_cases_are_of_codes_that_there_are() -> None:
    """A case of a code that was renamed would be told to nobody, nor would one of a fact that is none."""
    for code, rows in CASES.items():
        fields = set(table()[code].names)
        for wanted, sentence in rows:
            assert set(wanted) <= fields, code
            assert sentence.endswith("."), sentence
            assert "{" not in sentence


@pytest.mark.parametrize(
    ("failure", "says"),
    [
        (errors.SourceStatus(status=401, headers="none"), "in headers"),
        (errors.SourceStatus(status=403, headers="none"), "in headers"),
        (errors.SourceStatus(status=403, headers="sent"), "refuses these credentials"),
        (errors.SourceStatus(status=401, headers="dropped"), "a redirect led elsewhere"),
        (errors.SourceStatus(status=404), "publisher's page"),
        (errors.SourceStatus(status=503), "later"),
        (errors.TlsFailed(host="x", reason="no secure connection could be agreed on"), "TLS 1.2"),
        (errors.TlsFailed(host="x", reason="it speaks no TLS at this port"), "http://"),
        (errors.TlsFailed(host="x", reason="it does not know the host name"), "set up for"),
        (errors.TlsFailed(host="x", reason="it asks for a client certificate"), "client_key_pem"),
        (errors.TlsFailed(host="x", reason="its certificate has expired"), "renew"),
        (errors.SourceStatus(status=403, headers="none", cookie=True), "cookie"),
        (errors.SourceStatus(status=407), "operator"),
        (errors.SourceStatus(status=206), "whole file"),
        (errors.SourceStatus(status=300), "choose one"),
        (errors.SourceStatus(status=421), "host name"),
        (errors.SourceStatus(status=423), "later"),
        (errors.TooManyRedirects(max_redirects=5, circle=True, cookie=True), "cookie"),
        (errors.TooManyRedirects(max_redirects=5), "among the redirects"),
        (errors.InvalidUrl(rule="port", reason="x"), "operator"),
        (errors.ChecksumFileUnusable(reason="x", kind="signature"), "checksum_signature_url"),
        (errors.ChecksumMismatch(algorithm="sha256", expected="a", actual="b", source="sums"), "same folder"),
        (errors.Forbidden(reason="attribute size is read-only"), "Leave it out"),
        (errors.Forbidden(reason="the image is protected; set protected to false first"), "protected"),
        (errors.Forbidden(reason="this needs the role member"), "for the role"),
        (errors.Forbidden(reason="the image is another project's"), "token of the project"),
    ],
)
def test_advice_is_of_the_case(failure: Failure, says: str) -> None:
    """Not one sentence for all that a code can mean."""
    assert says in advice_for(failure)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("docker://quay.io/containerdisks/fedora:42", "oci://HOST"),
        ("gs://bucket/disk.img", "storage.googleapis.com"),
        ("az://c/x", "blob.core.windows.net"),
        ("arn:aws:s3:::bucket/key", "s3://BUCKET/KEY"),
        ("ftp://ftp.example/x.iso", "by https"),
        ("file:///var/lib/x.img", "upload it"),
        ("magnet:?xt=urn:btih:abc", "BitTorrent"),
        ("git+https://a.example/x", "downloads the file"),
        ("htp://a.example/x", "begins with https://"),
        ("https://https://a.example/x", "one URL"),
        ("wget https://a.example/x", "alone"),
        ("https://a.example/my disk.img", "%20"),
        ("https://a.example/x\\?a=b", "backslashes"),
        ("https://a.example/100%.img", "%25"),
        ("https://93.184.216.34/x", "url.allow_literals"),
        ("http://nas.lan/x", "url.allow_hosts"),
        ("https://B\u00dcCHER.example/x", "xn--"),
        ("https://u:p/w@a.example/x", "%2F"),
        ("https://u:p@w@a.example/x", "%40"),
        ("https://a.example:8443/x", "allowed port"),
    ],
)
def test_advice_on_a_url_is_of_its_mistake(url: str, says: str) -> None:
    """What people really paste: each is told its own way out."""
    with pytest.raises(errors.InvalidUrl) as caught:
        check_source(url, load_settings())
    assert says in advice_for(caught.value)
    assert "p/w" not in caught.value.reason


def test_every_refusal_of_ours_has_a_case() -> None:
    """No 403 asks for a role where no role would help: the reasons are read from the code itself."""
    import re

    source = "\n".join(path.read_text() for path in Path("fetcher").rglob("*.py"))
    reasons = re.findall(r"\bForbidden\(\s*reason=f?\"([^\"]+)\"", source)
    assert len(reasons) > 20
    for reason in reasons:
        plain = re.sub(r"\{[^}]*\}", "x", reason)
        assert advice_for(errors.Forbidden(reason=plain)) != errors.Forbidden.advice, reason


async def ends(service: Running, url: str, **fields: Any) -> dict[str, Any]:
    ended = await service.run(url=url, **fields)
    assert ended["state"] != "succeeded"
    verdict: dict[str, Any] = ended["verdict"]
    return {**verdict, "redirects": ended["redirects"]}


async def test_following_the_advice_succeeds(tmp_path: Path) -> None:
    """Each step does what the one before was told to do."""

    async def guarded(exchange: Any) -> None:
        is_known = exchange.request.header("Authorization") == "Bearer x"
        await (behaviours.serve(BODY) if is_known else behaviours.status(401))(exchange)

    async with Origin(
        {"/x": guarded, "/S": behaviours.serve(b"<html>a page</html>")}, host="127.0.0.3"
    ) as far:
        routes = {"/to": behaviours.redirect(far.url("/x")), "/gone": behaviours.status(404)}
        routes["/SUMS"] = behaviours.serve(f"{SHA256}  other.img\n{'0' * 64}  more.img\n".encode())
        async with Origin(routes) as origin, Running(tmp_path, origin, far) as service:
            told = await ends(service, origin.url("/to"))
            assert "in headers" in told["advice"]
            headers = {"Authorization": "Bearer x"}
            told = await ends(service, origin.url("/to"), headers=headers)
            assert "the last URL among the redirects" in told["advice"]
            last = told["redirects"][-1]["url"]
            told = await ends(service, last, headers=headers, checksum_url=far.url("/S"))
            assert "not that of a page" in told["advice"]
            told = await ends(service, last, headers=headers, checksum_url=origin.url("/SUMS"))
            assert "checksum=ALGORITHM:HEX" in told["advice"]
            ended = await service.run(url=last, headers=headers, checksum=f"sha256:{SHA256}")
            assert ended["state"] == "succeeded"


async def test_a_failure_of_the_checksum_file_is_told_as_such(tmp_path: Path) -> None:
    """Its 404 is not the image's."""
    routes = {"/x": behaviours.serve(BODY), "/S": behaviours.status(404)}
    async with Origin(routes) as origin, Running(tmp_path, origin) as service:
        told = await ends(service, origin.url("/x"), checksum_url=origin.url("/S"))
        assert told["code"] == "source-status"
        assert told["title"] == "The source of the checksum file answered with status 404."
        assert told["fields"]["part"] == "checksum file"


async def test_cookie_walls_and_circles_are_told_apart(tmp_path: Path) -> None:
    """A site that sets a cookie and sends back waits for that cookie."""
    wall = behaviours.redirect("/wall", fields={"Set-Cookie": "seen=1"})
    routes = {"/wall": wall, "/round": behaviours.redirect("/round")}
    async with Origin(routes) as origin, Running(tmp_path, origin) as service:
        assert "cookie" in (await ends(service, origin.url("/wall")))["advice"]
        assert "redirects to itself" in (await ends(service, origin.url("/round")))["advice"]


async def test_administrators_see_what_really_happened(tmp_path: Path) -> None:
    """The API's list finds it by its true code; whoever is no administrator is told nothing more."""
    async with (
        Origin({"/x": behaviours.status(404)}, host="127.0.0.3") as origin,
        Running(tmp_path, origin, url={"allow_literals": True, "ports": [80, origin.port]}) as service,
    ):
        ended = await service.run(url=f"http://127.0.0.2:{origin.port}/x")
        assert ended["verdict"]["code"] == "source-unreachable"
        assert ended["truth"]["code"] == "address-forbidden"
        assert "127.0.0.2" in ended["truth"]["message"]
        assert "allow the address" in ended["truth"]["advice"]
        async with service.client.get(f"/page/imports/{ended['id']}") as answer:
            assert "127.0.0.2" in (await answer.text()).partition("Actual cause")[2]
        listed = (await service.get("/imports?code=address-forbidden"))["imports"]
        assert [item["id"] for item in listed] == [ended["id"]]
        assert (await service.get("/imports?code=name-unresolved"))["imports"] == []


async def test_a_cancelled_import_keeps_its_facts(tmp_path: Path) -> None:
    """How far it came and where it led stay in its record."""
    routes = {"/x": behaviours.redirect("/y"), "/y": behaviours.endless()}
    async with Origin(routes) as origin, Running(tmp_path, origin) as service:
        created = await service.submit(url=origin.url("/x"))
        async for _name, document in service.events(created["id"]):
            if document["progress"]["received_bytes"]:
                break
        async with service.client.delete(f"/imports/{created['id']}") as answer:
            assert answer.status == 204
        ended = await service.get(f"/imports/{created['id']}")
        assert ended["state"] == "cancelled"
        assert ended["progress"]["received_bytes"] > 0
        assert [hop["status"] for hop in ended["redirects"]] == [302, 200]
        assert ended["attempts"][0]["received_bytes"] > 0
