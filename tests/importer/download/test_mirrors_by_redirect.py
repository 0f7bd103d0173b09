"""What a redirect led to is not the submitted URL: another request may lead to a better mirror."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from tests.images import HTML, qcow2, raw
from tests.lab import behaviours
from tests.lab.certificates import Authorities
from tests.lab.origin import Behaviour, Origin
from tests.service import Running

BODY = qcow2()
SHA256 = hashlib.sha256(BODY).hexdigest()
GOOD = behaviours.serve(BODY, etag='"good"')
PROMISED = {"disk_format": "qcow2", "checksum": f"sha256:{SHA256}"}

BAD: dict[str, tuple[Behaviour, str]] = {
    "gone": (behaviours.status(404), "source-status"),
    "forbidden": (behaviours.status(403), "source-status"),
    "gone for good": (behaviours.status(410), "source-status"),
    "misdirected": (behaviours.status(421), "source-status"),
    "login": (behaviours.status(401), "source-status"),
    "page": (behaviours.serve(HTML), "format-mismatch"),
    "nothing": (behaviours.serve(b""), "empty"),
    "outdated": (behaviours.serve(qcow2(1_048_576 * 3), etag='"old"'), "checksum-mismatch"),
    "coded": (behaviours.serve(BODY, fields={"Content-Encoding": "br"}), "encoding-forbidden"),
    "no HTTP": (behaviours.answer("SSH-2.0-OpenSSH_9\r\n\r\n"), "bad-response"),
    "redirect to a page of its own": (behaviours.redirect("ftp://mirror.example/"), "bad-redirect"),
}


def front(*places: str) -> Behaviour:
    """Send each request to the next place, as redirectors do."""
    return behaviours.in_turn(*(behaviours.redirect(place) for place in places))


@pytest.mark.parametrize("name", BAD)
async def test_a_bad_mirror_is_no_verdict(name: str, tmp_path: Path) -> None:
    """The submitted URL is asked again, and the story tells why."""
    behaviour, code = BAD[name]
    async with Origin({"/bad": behaviour, "/good": GOOD}) as origin, Running(tmp_path, origin) as service:
        origin.routes["/x"] = front("/bad", "/good")
        ended = await service.run(url=origin.url("/x"), **PROMISED)
        assert ended["digests"]["sha256"] == SHA256
        assert [attempt["code"] for attempt in ended["attempts"]] == [code, "ok"]
        assert "the submitted URL is asked again" in ended["attempts"][0]["reason"]
        assert ended["attempts"][0]["wait_seconds"] > 0
        assert len(service.traces()) == 1


@pytest.mark.parametrize("name", BAD)
async def test_only_bad_mirrors_end_within_the_attempts(name: str, tmp_path: Path) -> None:
    """As many attempts as there are, then the verdict is that of the last."""
    behaviour, code = BAD[name]
    routes = {"/bad": behaviour, "/x": behaviours.redirect("/bad")}
    async with Origin(routes) as origin, Running(tmp_path, origin, retry={"attempts": 3}) as service:
        ended = await service.run(url=origin.url("/x"), **PROMISED)
        assert ended["verdict"]["code"] == code
        codes = [attempt["code"] for attempt in ended["attempts"]]
        assert len([request for request in origin.requests if request.path == "/x"]) == 3
        assert codes[:2] == [code, code]
        assert len(codes) == 3
        assert service.traces() == []


@pytest.mark.parametrize("name", BAD)
async def test_what_the_submitted_url_says_is_final(name: str, tmp_path: Path) -> None:
    """One attempt, as before."""
    behaviour, code = BAD[name]
    async with Origin({"/x": behaviour}) as origin, Running(tmp_path, origin) as service:
        ended = await service.run(url=origin.url("/x"), **PROMISED)
        assert ended["verdict"]["code"] == code
        assert len(ended["attempts"]) == len(origin.requests) == 1


async def test_a_mirror_with_a_bad_certificate_is_no_verdict(tmp_path: Path) -> None:
    """Nobody is trusted for it; the next mirror is."""
    async with (
        Origin({"/m": GOOD}, tls=Authorities().good("127.0.0.3"), host="127.0.0.3") as bad,
        Origin({"/good": GOOD}) as origin,
        Running(tmp_path, origin, bad) as service,
    ):
        origin.routes["/x"] = front(bad.url("/m"), "/good")
        ended = await service.run(url=origin.url("/x"), **PROMISED)
        assert [attempt["code"] for attempt in ended["attempts"]] == ["tls-failed", "ok"]
        assert bad.requests == []


async def test_a_mirror_that_changes_in_mid_body_is_left_for_another(tmp_path: Path) -> None:
    """The next mirror goes on where the digest will tell, or begins anew; it is never mixed up."""
    body = raw(400_000)
    promised: dict[str, Any] = {"checksum": f"sha256:{hashlib.sha256(body).hexdigest()}"}
    async with Origin() as origin, Running(tmp_path, origin) as service:
        origin.routes |= {
            "/x": front("/cut", "/gone", "/good"),
            "/cut": behaviours.cut(body, 100_000, fields={"ETag": '"1"'}),
            "/gone": behaviours.status(404),
            "/good": behaviours.serve(body, etag='"2"'),
        }
        ended = await service.run(url=origin.url("/x"), **promised)
        assert [attempt["code"] for attempt in ended["attempts"]] == ["truncated", "source-status", "ok"]
        assert ended["state"] == "succeeded"


@pytest.mark.parametrize("bad", [behaviours.status(404), behaviours.serve(HTML)])
async def test_a_checksum_file_may_have_bad_mirrors_too(bad: Behaviour, tmp_path: Path) -> None:
    """Its URL is asked again like the image's."""
    async with Origin({"/x": GOOD, "/bad": bad}) as origin, Running(tmp_path, origin) as service:
        origin.routes["/good"] = behaviours.serve(f"{SHA256}  x\n".encode())
        origin.routes["/SUMS"] = front("/bad", "/good")
        sums = origin.url("/SUMS")
        ended = await service.run(url=origin.url("/x"), disk_format="qcow2", checksum_url=sums)
        assert ended["verified_by"] == "sums", ended
