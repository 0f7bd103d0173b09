"""What servers, caches and links of all kinds really send: one table, through one service.

Each row was seen somewhere: it comes in, or is told by the code and the words beside it.
"""

import asyncio
import gzip
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.images import qcow2, raw
from tests.lab.behaviours import answer, chunked, cut, in_turn, redirect, serve, status
from tests.lab.origin import Behaviour, Exchange, Origin
from tests.service import Running

BODY, DISK = raw(50_000), qcow2(clusters=4)
HALF = len(BODY) // 2
SHA256 = hashlib.sha256(BODY).hexdigest()
TAG = {"ETag": '"1"'}
CUT = cut(BODY, HALF, fields=TAG)
WHOLE = serve(BODY, etag='"1"')
OK, NO_DISK = "ok", "format-mismatch"


def head(*lines: str, body: bytes = BODY) -> Behaviour:
    """Answer with lines as they are, then a body."""
    first, *fields = lines
    return answer("\r\n".join([first, *fields, f"Content-Length: {len(body)}", "", ""]).encode() + body)


def coded(label: str, body: bytes = BODY) -> Behaviour:
    """Label a body with a content coding."""
    return serve(body, fields={"Content-Encoding": label})


async def held_open(exchange: Exchange) -> None:
    """Keep the connection for a next request that does not come."""
    await exchange.send_head(200, {"Content-Length": len(BODY), "Keep-Alive": "timeout=600"})
    await exchange.send_body(BODY)
    await exchange.wait_gone()


async def cookie_wall(exchange: Exchange) -> None:
    """Let in who shows the cookie, as links for browsers do."""
    is_known = "seen=1" in (exchange.request.header("Cookie") or "")
    await (serve(BODY) if is_known else status(403))(exchange)


HONEST: dict[str, Behaviour | Mapping[str, Behaviour]] = {
    "hints before the answer": head("HTTP/1.1 103 Early Hints\r\nLink: </s>\r\n\r\nHTTP/1.1 200 OK"),
    "no reason": head("HTTP/1.1 200"),
    "connection held open": held_open,
    "extensions of chunks": answer(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%08X;a=b\r\n" % len(BODY)
        + BODY
        + b"\r\n0\r\nX-Checksum: x\r\n\r\n"
    ),
    "a policy of 20 KiB": serve(BODY, fields={"Content-Security-Policy": "x" * 20_000}),
    "type says page": serve(BODY, fields={"Content-Type": "text/html"}),
    "file in the making": in_turn(status(202), WHOLE),
    "refusal of the hour": in_turn(status(403, {"Retry-After": "0"}), WHOLE),
    "locked for now": in_turn(status(423, {"Retry-After": "0"}), WHOLE),
    "edge without its origin": in_turn(status(520), WHOLE),
    "range refused as a request": in_turn(CUT, status(400), WHOLE),
    "range not signed for": in_turn(CUT, status(403), WHOLE),
    "condition refused": in_turn(CUT, status(412), WHOLE),
    "several ranges for one": in_turn(
        CUT, status(206, {"Content-Type": "multipart/byteranges; boundary=x"}, b"--x\r\n"), WHOLE
    ),
    "label base64": coded("base64"),
    "label is a type": coded("application/octet-stream"),
    "label is a format": coded("qcow2"),
    "coded on the fly": chunked([gzip.compress(BODY)], fields={"Content-Encoding": "gzip"}),
    "location with a fragment": {"": redirect("/moved#part"), "/moved": WHOLE},
    "location with query alone": {"": in_turn(redirect("?again=1"), WHOLE)},
    "location in Latin-1": {
        "": head("HTTP/1.1 302 Found", "Location: /\u00fc.img", body=b""),
        "/%C3%BC.img": WHOLE,
    },
}
TOLD: dict[str, tuple[Behaviour | Mapping[str, Behaviour], str, str]] = {
    "part for the whole": (
        status(206, {"Content-Range": f"bytes 0-{HALF}/{len(BODY)}"}, BODY[: HALF + 1]),
        "source-status",
        "does not send the whole file",
    ),
    "several forms": (status(300), "source-status", "choose one"),
    "cookie set on the way": (
        {"": redirect("/wall", fields={"Set-Cookie": "seen=1"}), "/wall": cookie_wall},
        "source-status",
        "send the cookie of your browser",
    ),
    "too many fields": (
        serve(BODY, fields={f"X-{number}": "x" for number in range(150)}),
        "bad-response",
        "too many header fields",
    ),
    "torrent": (serve(b"d8:announce9:udp://a/x4:infod6:lengthi1eee"), NO_DISK, "BitTorrent"),
    "checksum file": (serve(f"{SHA256}  disk.img\n".encode()), NO_DISK, "checksum_url"),
    "pointer": (
        serve(b"version https://git-lfs.github.com/spec/v1\noid sha256:a\nsize 1\n"),
        NO_DISK,
        "download link",
    ),
    "bucket": (serve(b"<?xml version='1.0'?><ListBucketResult/>"), NO_DISK, "one object in it"),
    "release of a forge": (
        serve(b'{"url":"https://api.github.com/x"}'),
        NO_DISK,
        "Accept: application/octet",
    ),
    "page in a fragment": (serve(b"<h1>It works!</h1>"), NO_DISK, "link that downloads"),
}


async def ends(service: Running, origin: Origin, routes: Any, **fields: Any) -> dict[str, Any]:
    """Import what the routes serve, below a path of their own."""
    base = f"/{len(origin.routes)}"
    routes = routes if isinstance(routes, Mapping) else {"": routes}
    origin.routes |= {path or f"{base}/disk.img": behaviour for path, behaviour in routes.items()}
    return await service.run(url=origin.url(f"{base}/disk.img"), **fields)


async def test_what_sources_send_comes_in(tmp_path: Path) -> None:
    """Every byte of it, and no other."""
    async with Origin() as origin, Running(tmp_path, origin) as service:
        found = await asyncio.gather(*(ends(service, origin, routes) for routes in HONEST.values()))
        wrong = {
            name: one["verdict"]
            for name, one in zip(HONEST, found, strict=True)
            if one["digests"].get("sha256") != SHA256
        }
        assert wrong == {}
        told = {"headers": {"Cookie": "seen=1"}}
        assert (await ends(service, origin, {"": redirect("/in"), "/in": cookie_wall}, **told))[
            "state"
        ] == "succeeded"


async def test_what_cannot_come_in_is_told(tmp_path: Path) -> None:
    """By its code, and by words that lead further."""
    async with Origin() as origin, Running(tmp_path, origin) as service:
        found = await asyncio.gather(*(ends(service, origin, routes) for routes, _, _ in TOLD.values()))
        for (name, (_, code, says)), one in zip(TOLD.items(), found, strict=True):
            verdict = one["verdict"]
            assert verdict["code"] == code, name
            assert says in f"{verdict['title']} {verdict['advice']}", name
        assert service.traces() == []


async def test_what_is_no_disk_is_told_in_the_terms_of_its_kind(tmp_path: Path) -> None:
    """Following the words about a checksum file brings the image in."""
    routes = {"/SUMS": serve(f"{SHA256}  disk.img\n".encode()), "/disk.img": serve(BODY)}
    async with Origin(routes) as origin, Running(tmp_path, origin) as service:
        told = (await service.run(url=origin.url("/SUMS")))["verdict"]["advice"]
        assert told == "Submit the URL of the image itself, and give this one as checksum_url."
        ended = await service.run(url=origin.url("/disk.img"), checksum_url=origin.url("/SUMS"))
        assert ended["verified_by"] == "sums"
