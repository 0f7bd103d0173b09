"""What people paste: blanks around URLs and digests, user names and passwords inside URLs."""

import hashlib
from pathlib import Path

import pytest

from fetcher.config import load_settings
from fetcher.errors import InvalidRequest, InvalidUrl
from fetcher.guards.request.url import CheckedUrls, check_url
from fetcher.importer.schemes.pasted import tidied
from fetcher.model import Submission
from tests.images import raw
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.service import Running

BODY = raw(100_000)
SHA256 = hashlib.sha256(BODY).hexdigest()
SETTINGS = load_settings()


def paste(url: str, **fields: object) -> Submission:
    return tidied(Submission(url=url, max_bytes=1, **fields), CheckedUrls(SETTINGS))  # type: ignore[arg-type] # by name


@pytest.mark.parametrize(
    ("before", "after"),
    [
        *(('"', '"'), ("'", "'"), ("`", "`"), ("<", ">"), ("\u201c", "\u201d"), ("\u00ab", "\u00bb")),
        *((' "', '" '), ('"<', '>"'), ("", "\u200e"), ("\u202a", "\u202c")),
    ],
)
def test_marks_around_a_url_are_taken_off(before: str, after: str) -> None:
    """As texts, tables and chats put them; what is inside stays as it is."""
    url = "https://a.example/x'y'?z=<1>"
    assert paste(f"{before}{url}{after}").url == url


@pytest.mark.parametrize("around", [" ", "\n", "\t", "\r\n", "\u00a0", "\u200b", "\ufeff \n"])
async def test_blanks_around_what_was_pasted_are_taken_off(around: str, tmp_path: Path) -> None:
    """Before and behind, of every URL and of the digest."""
    sums = behaviours.serve(f"{SHA256}  x\n".encode())
    async with (
        Origin({"/x": behaviours.serve(BODY), "/s": sums, "/y": behaviours.status(404)}) as origin,
        Running(tmp_path, origin) as service,
    ):
        ended = await service.run(
            url=f"{around}{origin.url('/y')}{around}",
            mirrors=[f"{around}{origin.url('/x')}{around}"],
            checksum=f"\t sha256:{SHA256} \r\n",
        )
        assert ended["verified_by"] == "submitter"
        ended = await service.run(
            url=f"{origin.url('/x')}{around}", checksum_url=f"{around}{origin.url('/s')}"
        )
        assert ended["verified_by"] == "sums"


@pytest.mark.parametrize(
    ("userinfo", "field"),
    [
        ("user:pass", "Basic dXNlcjpwYXNz"),
        ("user", "Basic dXNlcjo="),
        ("us%20er:p%40%3Ass:x", "Basic dXMgZXI6cEA6c3M6eA=="),
        (":token", "Basic OnRva2Vu"),
        ("", "Basic Og=="),
        ("j%C3%B6rg:%E2%82%AC", "Basic asO2cmc64oKs"),
    ],
)
def test_credentials_become_a_header(userinfo: str, field: str) -> None:
    """As every client does it: unescaped, then Base64 of both with a colon between."""
    found = paste(f"https://{userinfo}@a.example/x?y=@z")
    assert found.url == "https://a.example/x?y=@z"
    assert found.headers == {"Authorization": field}


async def test_credentials_of_a_url_are_sent_and_shown_to_nobody(tmp_path: Path) -> None:
    """The source gets them on every connection; records, events, logs, provenance and files do not."""
    sums = behaviours.serve(f"{SHA256}  x\n".encode())
    async with (
        Origin({"/m": behaviours.serve(BODY)}, host="127.0.0.3") as mirror,
        Origin({"/x": behaviours.redirect(mirror.url("/m")), "/s": sums}) as origin,
        Running(tmp_path, origin, mirror) as service,
    ):
        url = origin.url("/x").replace("://", "://me:hush@")
        ended = await service.run(url=url, checksum_url=origin.url("/s").replace("://", "://me:hush@"))
        assert ended["verified_by"] == "sums", ended
        assert {request.header("Authorization") for request in origin.requests} == {"Basic bWU6aHVzaA=="}
        assert mirror.requests[0].header("Authorization") is None
        assert ended["submission"]["headers"] == ["Authorization"]
        seen = [ended, await service.get(f"/imports/{ended['id']}")]
        seen.append(await service.get(f"/imports/{ended['id']}/provenance"))
        seen.append(await service.get(f"/v2/images/{ended['image_id']}"))
        assert not any(secret in str(seen) for secret in ("hush", "aHVzaA", "me:"))
    for file in (tmp_path / "data").rglob("*"):
        if file.is_file():
            held = file.read_bytes()
            assert b"hush" not in held, file
            assert b"bWU6aHVzaA" not in held, file


@pytest.mark.parametrize(
    "url",
    [
        "https://a@b@a.example/",
        "https://a:b@c:d@a.example/",
        "https://a\\b@a.example/",
        "https://a b@a.example/",
        "https://a:b@a.example@127.0.0.1/",
        "https://a@b.example\\@127.0.0.1/",
        "https://a@/x",
        "https://a:b@localhost/",
        "https://a:b@127.0.0.1/",
        "https:a:b@a.example/",
        "ftp://a:b@a.example/",
    ],
)
def test_u03_credentials_hide_no_host(url: str) -> None:
    """What two readers could read in two ways stays as it is, and is refused."""
    with pytest.raises(InvalidUrl) as caught:
        check_url(paste(url).url, SETTINGS)
    assert "a:b" not in str(caught.value)


def test_credentials_are_given_once() -> None:
    """A header and a URL that each have some could mean two users."""
    with pytest.raises(InvalidRequest):
        paste("https://a:b@a.example/x", headers={"authorization": "Bearer x"})


@pytest.mark.parametrize("other", ["https://a:b@b.example/x", "https://a:c@a.example/x"])
def test_credentials_for_another_place_are_refused(other: str) -> None:
    """They would not be sent there: the refusal says where they go."""
    found = paste("https://a:b@a.example/x", mirrors=(other, "https://a:b@a.example/y"), checksum_url=other)
    assert found.mirrors == (other, "https://a.example/y")
    for url in (found.mirrors[0], found.checksum_url):
        with pytest.raises(InvalidUrl, match="into the URL of the image alone, or into headers"):
            check_url(url or "", SETTINGS)
