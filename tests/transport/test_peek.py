"""A look at a source: what it tells, and how little it costs."""

import gzip
from typing import Any

import pytest

from fetcher.errors import AddressForbidden, SourceStatus, SourceTooSlow
from fetcher.transport import Gate, Peek, SourceRequest, peek
from fetcher.transport.peek import HEAD_BYTES
from tests.images import raw
from tests.lab import Canary, Origin, lab_settings
from tests.lab.behaviours import drip, endless, redirect, serve, status

DATA = raw(3_000_000)


async def look(origin: Origin, **sections: dict[str, Any]) -> Peek:
    """Look at the usual path."""
    settings = lab_settings(origin, **sections)
    return await peek(Gate(), SourceRequest(url=origin.url("/x")), settings, lambda _hop: None)


async def test_source_is_shown_by_its_first_bytes() -> None:
    """Where the redirects end, size, name, whether it can go on, and the head; then we hang up."""
    fields = {"Content-Disposition": 'attachment; filename="disk.img"'}
    async with Origin({"/y": serve(DATA, etag='"1"', fields=fields)}) as origin:
        origin.routes["/x"] = redirect(origin.url("/y?sig=hush"))
        seen = await peek(
            Gate(), SourceRequest(url=origin.url("/x")), lab_settings(origin), lambda _hop: None
        )
        await origin.wait_idle()
        assert len(origin.requests) == 2
    assert (seen.url, seen.name) == (origin.url("/y?sig=REDACTED"), "disk.img")
    assert (seen.declared_bytes, seen.is_resumable, seen.is_whole) == (len(DATA), True, False)
    assert seen.head == DATA[:HEAD_BYTES]
    assert [hop.status for hop in seen.hops] == [302, 200]


@pytest.mark.parametrize("size", [0, 1, HEAD_BYTES - 1, HEAD_BYTES])
async def test_small_source_is_seen_whole(size: int) -> None:
    """All of it, and that it is all."""
    async with Origin({"/x": serve(DATA[:size])}) as origin:
        seen = await peek(
            Gate(), SourceRequest(url=origin.url("/x")), lab_settings(origin), lambda _hop: None
        )
    assert seen.head == DATA[:size]
    assert seen.is_whole or size == HEAD_BYTES
    assert (seen.name, seen.is_resumable) == ("x", False)


async def test_coded_source_is_seen_as_it_would_be_stored() -> None:
    """The coding is undone as far as is looked at."""
    fields = {"Content-Encoding": "gzip"}
    async with Origin({"/x": serve(gzip.compress(DATA), fields=fields)}) as origin:
        seen = await peek(
            Gate(), SourceRequest(url=origin.url("/x")), lab_settings(origin), lambda _hop: None
        )
    assert (seen.head, seen.coding, seen.declared_bytes) == (DATA[:HEAD_BYTES], "gzip", None)


async def test_endless_source_costs_no_more() -> None:
    """Nobody is read on for longer than the head."""
    async with Origin({"/x": endless()}) as origin:
        seen = await peek(
            Gate(), SourceRequest(url=origin.url("/x")), lab_settings(origin), lambda _hop: None
        )
        await origin.wait_idle()
    assert len(seen.head) == HEAD_BYTES


async def test_look_goes_through_the_gate() -> None:
    """What an import may not reach, a look does not either."""
    async with Origin({"/gone": status(404)}) as origin, Canary("127.0.0.2") as bird:
        origin.routes["/x"] = redirect(f"http://127.0.0.2:{bird.port}/")
        settings = lab_settings(origin, url={"ports": [bird.port], "allow_literals": True})
        for path, kind in (("/x", AddressForbidden), ("/gone", SourceStatus)):
            with pytest.raises(kind):
                await peek(Gate(), SourceRequest(url=origin.url(path)), settings, lambda _hop: None)
        assert bird.accepted == 0


async def test_dripping_source_is_given_up() -> None:
    """A byte now and then is no silence, and yet no answer."""
    async with Origin({"/x": drip(DATA)}) as origin:
        with pytest.raises(SourceTooSlow, match="first bytes"):
            await look(origin, pace={"idle_seconds": 0.3})
        await origin.wait_idle()
