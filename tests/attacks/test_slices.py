"""Row I25: bodies in chunks of one byte hold the loop no longer than any others."""

import asyncio
from pathlib import Path

import pytest

from tests.attacks.test_dear_requests import calibrate
from tests.attacks.test_inbound import rest, wire
from tests.lab.loop_watch import LoopWatch
from tests.service import Running

MAX_SECONDS = 0.010
TRIES = 10  # The least counts: caches that others have emptied are no work of ours.
CHUNKS = 100_000
HEAD = b"HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n"
JSON = HEAD + b"Content-Type: application/json\r\n\r\n"
OCTETS = HEAD + b"Content-Type: application/octet-stream\r\n\r\n"


async def sent(service: Running, head: bytes, body: bytes) -> bytes:
    """The answer to a request that comes as fast as may be."""
    async with wire(service) as (reader, writer):
        writer.write(head + body)
        return await rest(reader)


@pytest.mark.parametrize("path", ["/imports", "/v2/images/{id}/file", "/v2/images/{id}/stage", "/healthz"])
async def test_i25_chunks_of_one_byte_hold_nobody_up(tmp_path: Path, path: str) -> None:
    """Others have the loop between its slices, whether the body is wanted, streamed or of no use."""
    async with Running(tmp_path) as service:
        longest, held = float("inf"), ""
        for _ in range(TRIES):
            form = {"disk_format": "raw", "container_format": "bare"}
            _status, image, _headers = await service.call("POST", "/v2/images", json=form)
            target = path.replace("{id}", image["id"]).encode()
            head = b"PUT " + target + b" " + OCTETS if "{id}" in path else b"POST " + target + b" " + JSON
            body = b"1\r\na\r\n" * CHUNKS + b"0\r\n\r\n"
            sending = asyncio.create_task(asyncio.to_thread(asyncio.run, sent(service, head, body)))
            with LoopWatch() as watch:
                answer = await sending
            assert answer.startswith(b"HTTP/1.1 4"), answer[:100]
            if watch.longest_seconds < longest:
                longest, held = watch.longest_seconds, watch.longest
            if longest < MAX_SECONDS:
                break
        assert longest < MAX_SECONDS * calibrate(), held


async def test_i25_what_was_sent_in_slices_is_whole(tmp_path: Path) -> None:
    """A body of many chunks, with another request in the same piece, is read as it was sent."""
    async with Running(tmp_path) as service:
        text = b'{"name": "' + b"x" * 60_000 + b'", "disk_format": "raw"}'
        chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in text)
        head = b"POST /v2/images HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        last = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
        async with wire(service) as (reader, writer):
            writer.write(head + chunks + b"0\r\n\r\n" + last)
            answer = await rest(reader)
        assert answer.count(b"HTTP/1.1 ") == 2
        assert b"name: " in answer  # Refused for its length: all of it was read.
        assert b"HTTP/1.1 200" in answer
