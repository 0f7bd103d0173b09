"""Bodies that a store kept in the chunks of their upload: no image, whatever they are called."""

import asyncio
import hashlib
from pathlib import Path

import pytest

from tests.images import qcow2, raw
from tests.lab import Origin, behaviours
from tests.lab.origin import Exchange
from tests.service import Running

LABEL = {"Content-Encoding": "aws-chunked"}


def in_chunks(data: bytes, *, is_signed: bool) -> bytes:
    """What a client of a store sends: a line with its length before each chunk, an empty one at the end."""
    signed = b";chunk-signature=" + b"5" * 64 if is_signed else b""
    pieces = [data[start : start + 65_536] for start in range(0, len(data), 65_536)]
    return b"".join(b"%x%s\r\n%s\r\n" % (len(piece), signed, piece) for piece in [*pieces, b""])


@pytest.mark.parametrize("is_signed", [True, False])
@pytest.mark.parametrize("is_dripped", [True, False])
@pytest.mark.parametrize("body", [raw(300_000), raw(100)], ids=["large", "small"])
async def test_framing_is_never_stored(
    body: bytes, is_dripped: bool, is_signed: bool, tmp_path: Path
) -> None:
    """Refused at its first line, also where that comes in pieces; a look says the same; nothing is left."""
    framed = in_chunks(body, is_signed=is_signed)
    whole = behaviours.serve(framed, fields=LABEL, etag='"1"')

    async def dripped(exchange: Exchange) -> None:
        await exchange.send_head(200, LABEL | {"Content-Length": len(framed)})
        for position in range(120):
            await exchange.send_body(framed[position : position + 1])
            await asyncio.sleep(0)
        await exchange.send_body(framed[120:])

    behaviour = dripped if is_dripped else whole
    async with Origin({"/x": behaviour}) as origin, Running(tmp_path, origin) as service:
        ended = await service.run(url=origin.url("/x"), disk_format="raw")
        assert (ended["state"], ended["verdict"]["code"]) == ("refused", "encoding-forbidden")
        assert ended["verdict"]["fields"] == {"encoding": "aws-chunked"}
        assert "aws-chunked" in ended["verdict"]["title"]
        assert len(ended["attempts"]) == 1
        fields = {"url": origin.url("/x"), "disk_format": "raw"}
        _, found, _ = await service.call("POST", "/imports/probe", json=fields)
        assert [refusal["code"] for refusal in found["refusals"]] == ["encoding-forbidden"]
        assert service.traces() == []


@pytest.mark.parametrize("body", [raw(300_000), qcow2(), raw(512)], ids=["large", "qcow2", "small"])
async def test_label_alone_harms_nothing(body: bytes, tmp_path: Path) -> None:
    """Stores take the chunks off and keep the label; the bytes are stored as they are."""
    async with (
        Origin({"/x": behaviours.serve(body, fields=LABEL)}) as origin,
        Running(tmp_path, origin) as service,
    ):
        ended = await service.run(url=origin.url("/x"), disk_format="qcow2" if body[:3] == b"QFI" else "raw")
        assert ended["state"] == "succeeded", ended["verdict"]
        assert ended["digests"]["sha256"] == hashlib.sha256(body).hexdigest()
