"""Row I09 of the attacks: bodies that are dear to read hold the loop no longer than dear queries do."""

from pathlib import Path

import pytest

from tests.attacks.test_dear_requests import LOOP_SECONDS, calibrate
from tests.lab.loop_watch import LoopWatch
from tests.service import Running

MOST = 1_048_576 - 64
MAX_TRIES = 10  # The least counts: caches that others have emptied are no work of ours.
JSON = {"Content-Type": "application/json"}
PATCH = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
METALINK = {"Content-Type": "application/metalink4+xml"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
LINK = b'<metalink xmlns="urn:ietf:params:xml:ns:metalink"><file name="a">'


def many(piece: bytes, begin: bytes = b"", end: bytes = b"") -> bytes:
    """As much of one piece as a body may hold."""
    return begin + piece * ((MOST - len(begin) - len(end)) // len(piece)) + end


def names(begin: bytes, end: bytes) -> bytes:
    """An object of as many names as there is room for."""
    return begin + b",".join(b'"%05x":"1"' % number for number in range(80_000)) + end


JSONS = {
    "objects": many(b"{},", b"[", b"1]"),
    "pairs": many(b'{"a":1},', b"[", b"1]"),
    "numbers": many(b"1,", b"[", b"1]"),
    "fractions": many(b"1.5e10,", b"[", b"1]"),
    "digits": many(b"9" * 4000 + b",", b"[", b"1]"),
    "strings": many(b'"a",', b"[", b"1]"),
    "escapes": many(b"\\ud83d\\ude00", b'"', b'"'),
    "names": names(b"{", b"}"),
    "deep": many(b"["),
    "properties": names(b'{"url":"http://a.example/","properties":{', b"}}"),
    "tags": many(b'"a",', b'{"url":"http://a.example/","tags":[', b'"b"]}'),
    "operations": many(b'{"op":"add","path":"/a","value":"b"},', b"[", b"1]"),
}
METALINKS = {
    "elements": many(b"<a/>", LINK, b"</file></metalink>"),
    "URLs": many(b"<url>a</url>", LINK, b"</file></metalink>"),
    "hashes": many(b'<hash type="sha-256">a</hash>', LINK, b"</file></metalink>"),
    "deep": many(b"<a>", LINK),
    "attributes": LINK[:-1] + b"".join(b' a%d="1"' % number for number in range(80_000)) + b"/></metalink>",
}
FORMS = {
    "fields": many(b"a=b&"),
    "escapes": many(b"%41", b"token="),
    "a token": many(b"a", b"token="),
}
ROUTES = {
    ("POST", "/imports"): [(JSON, JSONS), (METALINK, METALINKS)],
    ("POST", "/imports/probe"): [(JSON, JSONS)],
    ("POST", "/exports"): [(JSON, JSONS)],
    ("POST", "/schedules"): [(JSON, JSONS)],
    ("POST", "/images/{id}/links"): [(JSON, JSONS)],
    ("POST", "/v2/images/{id}/locations"): [(JSON, JSONS)],
    ("POST", "/v2/images"): [(JSON, JSONS)],
    ("PATCH", "/v2/images/{id}"): [(PATCH, JSONS)],
    ("POST", "/v2/images/{id}/import"): [(JSON, JSONS)],
    ("POST", "/v2/images/{id}/members"): [(JSON, JSONS)],
    ("POST", "/v2/metadefs/namespaces"): [(JSON, JSONS)],
    ("POST", "/page/sign-in"): [(FORM, FORMS)],
    ("POST", "/page/submit"): [(FORM, FORMS)],
}


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_i09_no_body_is_dear(tmp_path: Path, method: str, path: str) -> None:
    """The dearest bodies that are known, as long as one may be: each is refused, and the loop goes on."""
    async with Running(tmp_path) as service:
        fields = {"disk_format": "raw", "container_format": "bare"}
        _status, image, _headers = await service.call("POST", "/v2/images", json=fields)
        path = path.replace("{id}", image["id"])
        for headers, bodies in ROUTES[method, path.replace(image["id"], "{id}")]:
            for name, body in bodies.items():
                longest = float("inf")
                for _ in range(MAX_TRIES):
                    with LoopWatch() as watch:
                        status, _document, _headers = await service.call(
                            method, path, data=body, headers=headers
                        )
                    assert 200 <= status < 500, (name, status)
                    longest = min(longest, watch.longest_seconds)
                    if longest < LOOP_SECONDS:
                        break
                assert longest < LOOP_SECONDS * calibrate(), (name, watch.longest)
