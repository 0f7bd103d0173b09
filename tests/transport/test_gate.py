"""The gate as an import uses it: the plain cases, with real sockets."""

import pytest

from fetcher.config import Settings
from fetcher.errors import Truncated
from fetcher.model import Hop
from fetcher.transport import Gate, SourceRequest
from tests.lab import FakeNames, Origin, lab_settings
from tests.lab.behaviours import chunked, cut, redirect, serve

DATA = bytes(range(256)) * 4096


async def pull(
    request: SourceRequest, settings: Settings, gate: Gate | None = None
) -> tuple[bytes, list[Hop]]:
    """Read everything behind a request."""
    hops: list[Hop] = []
    parts = []
    async with (gate or Gate()).open(request, settings, hops.append) as source:
        while chunk := await source.read():
            parts.append(chunk)
    return b"".join(parts), hops


async def test_bytes_arrive_as_they_were_served() -> None:
    """A plain pull brings every byte, and says where from."""
    async with Origin({"/x": serve(DATA, etag='"1"')}) as origin:
        body, hops = await pull(SourceRequest(url=origin.url("/x")), lab_settings(origin))
        await origin.wait_idle()
    assert body == DATA
    assert [(hop.status, hop.address, hop.port) for hop in hops] == [(200, "127.0.0.1", origin.port)]


async def test_name_is_resolved_once_and_the_address_judged_is_dialled() -> None:
    """Between the judgement and the dial nothing is looked up again."""
    async with Origin({"/x": serve(DATA)}) as origin:
        names = FakeNames({"mirror.example": (["127.0.0.1"], ["127.0.0.2"])})
        body, _ = await pull(
            SourceRequest(url=origin.url("/x", "mirror.example")), lab_settings(origin), Gate(names)
        )
    assert body == DATA
    assert names.asked == {"mirror.example.": 1}
    assert origin.requests[0].header("Host") == f"mirror.example:{origin.port}"


async def test_redirect_is_followed_and_recorded() -> None:
    """A mirror may send us on; each hop is told."""
    async with Origin({"/a": redirect("/b?x=1"), "/b": serve(DATA)}) as origin:
        body, hops = await pull(SourceRequest(url=origin.url("/a")), lab_settings(origin))
    assert body == DATA
    assert [hop.status for hop in hops] == [302, 200]
    assert hops[1].url.endswith("/b?x=REDACTED")


async def test_chunked_body_ends_where_it_says() -> None:
    """A body without a length is whole when its last chunk has come."""
    async with Origin({"/x": chunked([b"ab", b"c"])}) as origin:
        hops: list[Hop] = []
        request = SourceRequest(url=origin.url("/x"))
        async with Gate().open(request, lab_settings(origin), hops.append) as source:
            assert source.length_verified
            assert source.declared_bytes is None
            parts = [await source.read() for _ in range(2)]
        assert b"".join(parts) == b"abc"


async def test_range_is_asked_for_and_honoured() -> None:
    """A resumed pull begins where it was asked to, and knows the size of the whole."""
    async with Origin({"/x": serve(DATA, etag='"1"')}) as origin:
        request = SourceRequest(url=origin.url("/x"), offset=1000, if_range='"1"')
        async with Gate().open(request, lab_settings(origin), lambda _: None) as source:
            assert (source.offset, source.declared_bytes, source.status) == (1000, len(DATA), 206)
            body = b"".join([chunk async for chunk in _chunks(source)])
    assert body == DATA[1000:]


async def test_early_end_is_no_end() -> None:
    """Whoever hangs up before the announced length has not sent the image."""
    async with Origin({"/x": cut(DATA, 5000)}) as origin:
        with pytest.raises(Truncated) as caught:
            await pull(SourceRequest(url=origin.url("/x")), lab_settings(origin))
    assert (caught.value.received_bytes, caught.value.declared_bytes) == (5000, len(DATA))


async def _chunks(source):
    while chunk := await source.read():
        yield chunk
