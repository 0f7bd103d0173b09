"""The gate as an import uses it: what works."""

import asyncio
import hashlib

import msgspec
import pytest

from fetcher.errors import AddressForbidden, Truncated
from fetcher.transport import Gate, Source, SourceRequest
from fetcher.transport.body import Body
from tests.lab import FakeNames, Origin, lab_settings
from tests.lab.behaviours import Behaviour, chunked, cut, gated, redirect, serve, status
from tests.lab.origin import Exchange
from tests.transport.attack import attack

DATA = bytes(range(256)) * 4096


async def test_bytes_arrive_as_they_were_served() -> None:
    """A plain pull brings every byte, and says where from."""
    async with Origin({"/x": serve(DATA, etag='"1"')}) as origin:
        outcome = await attack(origin.url("/x"), lab_settings(origin))
    assert (outcome.code, outcome.body) == ("ok", DATA)
    assert [(hop.status, hop.address, hop.port) for hop in outcome.hops] == [(200, "127.0.0.1", origin.port)]
    assert outcome.source is not None
    assert outcome.source.hops == tuple(outcome.hops)
    assert (outcome.source.etag, outcome.source.declared_bytes) == ('"1"', len(DATA))
    assert outcome.source.received_bytes == len(DATA)


async def test_ipv6_is_spoken() -> None:
    """A source may live on IPv6 alone."""
    async with Origin({"/x": serve(DATA)}, host="::1") as origin:
        outcome = await attack(origin.url("/x"), lab_settings(origin))
    assert (outcome.body, outcome.hops[0].address) == (DATA, "::1")


async def test_name_is_resolved_once_and_the_address_judged_is_dialled() -> None:
    """Between the judgement and the dial nothing is looked up again."""
    async with Origin({"/x": serve(DATA)}) as origin:
        names = FakeNames({"mirror.example": (["127.0.0.1"], ["127.0.0.2"])})
        outcome = await attack(origin.url("/x", "mirror.example"), lab_settings(origin), Gate(names))
    assert outcome.body == DATA
    assert names.asked == {"mirror.example.": 1}
    assert origin.requests[0].header("Host") == f"mirror.example:{origin.port}"


async def test_further_request_goes_to_the_place_that_answered() -> None:
    """The final URL at the address of the first answer: nothing is looked up or redirected again."""
    async with Origin({"/y": serve(DATA, etag='"1"')}) as origin:
        origin.routes["/x"] = redirect(origin.url("/y?sig=1", "mirror.example"))
        names = FakeNames({"mirror.example": (["127.0.0.1"], ["127.0.0.1"], ["127.0.0.2"])})
        gate, settings = Gate(names), lab_settings(origin)
        request = SourceRequest(url=origin.url("/x", "mirror.example"), headers={"X-Key": "1"})
        async with gate.open(request, settings, lambda _hop: None) as first:
            further = msgspec.structs.replace(first.further, offset=9, if_range=first.etag)
            async with gate.open(further, settings, lambda _hop: None) as second:
                assert (second.status, second.offset, second.hops[0].address) == (206, 9, "127.0.0.1")
    assert names.asked == {"mirror.example.": 2}
    assert [request.target for request in origin.requests] == ["/x", "/y?sig=1", "/y?sig=1"]
    assert {request.header("X-Key") for request in origin.requests} == {"1"}


async def test_further_request_is_judged_like_any_other() -> None:
    """An address that was allowed for the first answer may be forbidden by now."""
    async with Origin({"/x": serve(DATA, etag='"1"')}) as origin:
        names = FakeNames({"mirror.example": ["127.0.0.1"]})
        gate = Gate(names)
        request = SourceRequest(url=origin.url("/x", "mirror.example"))
        async with gate.open(request, lab_settings(origin), lambda _hop: None) as first:
            with pytest.raises(AddressForbidden):
                async with gate.open(
                    first.further, lab_settings(url={"ports": [origin.port]}), lambda _hop: None
                ):
                    pass
    assert len(origin.requests) == 1


async def test_dead_address_beside_a_live_one_does_no_harm() -> None:
    """All addresses of a name are tried, both families in turn."""
    async with Origin({"/x": serve(DATA)}) as origin:
        settings = lab_settings(
            origin,
            address={
                "allow": [
                    {"cidr": "127.0.0.0/8", "ports": [origin.port]},
                    {"cidr": "::1/128", "ports": [origin.port]},
                ]
            },
        )
        names = FakeNames({"mirror.example": ["::1", "127.0.0.9", "127.0.0.1"]})
        outcome = await attack(origin.url("/x", "mirror.example"), settings, Gate(names))
    assert outcome.body == DATA
    assert outcome.hops[0].address == "127.0.0.1"


async def test_redirects_are_followed_and_recorded() -> None:
    """A mirror may send us on; each hop is told, with its time, address and redacted URL."""
    async with Origin(
        {"/a": redirect("/b?x=1", code=301), "/b": redirect("c#top", code=308), "/c": serve(DATA)}
    ) as origin:
        outcome = await attack(origin.url("/a"), lab_settings(origin))
    assert outcome.body == DATA
    assert [hop.status for hop in outcome.hops] == [301, 308, 200]
    assert outcome.hops[1].url.endswith("/b?x=REDACTED")
    assert [request.target for request in origin.requests] == ["/a", "/b?x=1", "/c"]
    assert origin.connections == 3


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
async def test_every_kind_of_redirect_is_followed(code: int) -> None:
    """They differ only for requests with a body, and ours has none."""
    async with Origin({"/a": redirect("/b", code=code), "/b": serve(DATA)}) as origin:
        assert (await attack(origin.url("/a"), lab_settings(origin))).body == DATA
    assert [request.method for request in origin.requests] == ["GET", "GET"]


async def test_path_and_query_are_sent_as_they_were_given() -> None:
    """Signed URLs cover every character, so none is touched."""
    target = "/a%2Fb%7e/./../c;d=1//?X-Amz-Signature=%2F+a%20b&c=d%3D%3D&e"
    async with Origin({"*": serve(DATA)}) as origin:
        assert (await attack(origin.url(target), lab_settings(origin))).code == "ok"
    assert origin.requests[0].target == target


async def test_chunked_body_ends_where_it_says() -> None:
    """A body without a length is whole when its last chunk has come."""
    async with Origin({"/x": chunked([b"ab", b"c" * 100_000])}) as origin:
        outcome = await attack(origin.url("/x"), lab_settings(origin))
    assert outcome.body == b"ab" + b"c" * 100_000
    assert outcome.source is not None
    assert outcome.source.length_verified
    assert outcome.source.declared_bytes is None


async def test_body_without_any_length_is_marked() -> None:
    """Whether it is whole only a digest can tell."""
    async with Origin({"/x": cut(b"", 0)}) as origin:
        origin.routes["/x"] = lambda exchange: exchange.send("HTTP/1.1 200 OK\r\n\r\nabc")
        outcome = await attack(origin.url("/x"), lab_settings(origin))
    assert outcome.body == b"abc"
    assert outcome.source is not None
    assert not outcome.source.length_verified


async def test_read_does_not_wait_to_fill_a_buffer() -> None:
    """What has come is given at once, so that a slow source shows progress and guards see early bytes."""
    more = asyncio.Event()

    async def behave(exchange) -> None:
        await exchange.send_head(200, {"Content-Length": 6})
        await exchange.send_body(b"abc")
        await more.wait()
        await exchange.send_body(b"def")

    async with Origin({"/x": behave}) as origin:
        request = SourceRequest(url=origin.url("/x"))
        async with Gate().open(request, lab_settings(origin), lambda _: None) as source:
            assert await source.read() == b"abc"
            more.set()
            assert await source.read() == b"def"
            assert await source.read() == b""
            assert await source.read() == b""


async def test_range_is_asked_for_and_honoured() -> None:
    """A resumed pull begins where it was asked to, and knows the size of the whole."""
    async with Origin({"/x": serve(DATA, etag='"1"')}) as origin:
        request = SourceRequest(url=origin.url("/x"), offset=1000, if_range='"1"')
        outcome = await attack(request, lab_settings(origin))
    assert outcome.body == DATA[1000:]
    assert outcome.source is not None
    assert (outcome.source.offset, outcome.source.declared_bytes, outcome.source.status) == (
        1000,
        len(DATA),
        206,
    )
    assert origin.requests[0].header("If-Range") == '"1"'
    assert origin.requests[0].header("Range") == "bytes=1000-"


async def test_range_with_an_end_is_asked_for_and_honoured() -> None:
    """Parallel connections each bring their own part."""
    async with Origin({"/x": serve(DATA, etag='"1"')}) as origin:
        request = SourceRequest(url=origin.url("/x"), offset=0, length=500, if_range='"1"')
        outcome = await attack(request, lab_settings(origin))
    assert outcome.body == DATA[:500]
    assert origin.requests[0].header("Range") == "bytes=0-499"


async def test_changed_file_is_brought_whole() -> None:
    """If the version is another one, the bytes begin at 0 again."""
    async with Origin({"/x": serve(DATA, etag='"2"')}) as origin:
        request = SourceRequest(url=origin.url("/x"), offset=1000, if_range='"1"')
        outcome = await attack(request, lab_settings(origin))
    assert outcome.body == DATA
    assert outcome.source is not None
    assert (outcome.source.offset, outcome.source.etag) == (0, '"2"')


@pytest.mark.parametrize("code", [400, 403, 405, 412, 416])
async def test_refused_range_is_brought_whole(code: int) -> None:
    """Signed links and gateways refuse ranges and their conditions, and give the whole."""

    async def whole_alone(exchange: Exchange) -> None:
        is_range = exchange.request.header("Range") is not None
        await (status(code) if is_range else serve(DATA))(exchange)

    async with Origin({"/x": whole_alone}) as origin:
        request = SourceRequest(url=origin.url("/x"), offset=1000, if_range='"1"')
        outcome = await attack(request, lab_settings(origin))
    assert outcome.body == DATA
    assert len(origin.requests) == 2


async def test_unchanged_file_need_not_be_brought() -> None:
    """304 to a conditional request brings no byte."""
    async with Origin({"/x": serve(DATA, etag='"1"')}) as origin:
        outcome = await attack(SourceRequest(url=origin.url("/x"), if_none_match='"1"'), lab_settings(origin))
        assert outcome.source is not None
        assert (outcome.code, outcome.body, outcome.source.status) == ("ok", b"", 304)
        changed = await attack(SourceRequest(url=origin.url("/x"), if_none_match='"0"'), lab_settings(origin))
    assert changed.body == DATA


async def test_digests_of_the_source_are_read() -> None:
    """RFC 9530: what the source says of its bytes can be compared."""
    digest = hashlib.sha256(DATA)
    import base64

    fields = {"Repr-Digest": f"sha-256=:{base64.b64encode(digest.digest()).decode()}:"}
    async with Origin({"/x": serve(DATA, fields=fields)}) as origin:
        outcome = await attack(origin.url("/x"), lab_settings(origin))
    assert outcome.source is not None
    assert outcome.source.digests == {"sha256": digest.hexdigest()}
    assert "sha-256" in (origin.requests[0].header("Want-Repr-Digest") or "")


async def test_headers_of_the_source_are_made_printable() -> None:
    """They are shown to people later, so they are short and plain."""
    fields = {"Server": "evil\x1b[2J\xff" + "s" * 500, "Content-Type": "x/y", "X-Other": "no"}
    async with Origin({"/x": serve(DATA, fields=fields)}) as origin:
        outcome = await attack(origin.url("/x"), lab_settings(origin))
    assert outcome.source is not None or outcome.code == "bad-response"
    for value in outcome.hops[0].headers.values():
        assert len(value) <= 200
        assert all(" " <= letter <= "~" for letter in value)


async def test_waiting_is_counted_and_nothing_else() -> None:
    """The clock of the rate floor stands while nobody waits for the source."""
    opened = asyncio.Event()
    async with Origin({"/x": gated(serve(DATA), opened)}) as origin:
        opened.set()
        request = SourceRequest(url=origin.url("/x"))
        async with Gate().open(request, lab_settings(origin), lambda _: None) as source:
            await source.read()
            waited = source.waited()
            await asyncio.sleep(0.05)
            assert source.waited() == waited


async def test_file_that_vanished_is_told_with_its_status() -> None:
    """404 and the like are told as they are, with the wait that the source asks for."""
    async with Origin({"/x": status(503, {"Retry-After": "7"})}) as origin:
        outcome = await attack(origin.url("/x"), lab_settings(origin))
        missing = await attack(origin.url("/nothing"), lab_settings(origin))
    assert outcome.failure is not None
    assert outcome.failure.public_fields() == {"status": 503, "retry_after_seconds": 7.0}
    assert missing.failure is not None
    assert missing.failure.public_fields() == {"status": 404}


async def test_two_hundred_sources_share_the_buffers() -> None:
    """With many sources open, each may hold less."""
    gate = Gate()
    settings = lab_settings()
    gate._open = 1
    assert gate._share_bytes(settings, 262_144) == 262_144
    gate._open = 512
    assert gate._share_bytes(settings, 262_144) == 32_768
    gate._open = 100_000
    assert gate._share_bytes(settings, 262_144) == 16_384


async def _take(source: Source, taken: list[bytes]) -> None:
    while chunk := await source.read():
        taken.append(chunk)


def _is_broken(source: Source) -> bool:
    content = source._content
    return content._is_lost if isinstance(content, Body) else content.exception() is not None


@pytest.mark.parametrize("behaviour", [cut(DATA, 100_000), chunked([DATA[:100_000]], is_ended=False)])
async def test_what_came_before_a_break_is_not_lost(behaviour: Behaviour) -> None:
    """A connection that breaks off while nobody reads still gives all that it had brought."""
    async with Origin({"/x": behaviour}) as origin:
        request = SourceRequest(url=origin.url("/x"))
        async with Gate().open(request, lab_settings(origin), lambda _hop: None) as source:
            while not _is_broken(source):
                await asyncio.sleep(0)
            taken: list[bytes] = []
            with pytest.raises(Truncated) as truncated:
                await _take(source, taken)
        assert b"".join(taken) == DATA[:100_000]
        assert truncated.value.received_bytes == 100_000
