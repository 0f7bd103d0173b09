"""Origins that take their time: rows T01 to T06 of the attacks. Limits are short here, so that tests are."""

import asyncio
import resource
import socket
import ssl
import time
from pathlib import Path

import aiohttp
import pytest

from fetcher.errors import ConnectFailed, NameUnresolved, Shortage, SourceTooSlow, Truncated
from fetcher.guards.stream.pace import RateFloor
from fetcher.transport import Gate, Source, SourceRequest
from fetcher.transport.dialling.dial import Handover, SourceConnection, _drop
from fetcher.transport.dialling.resolver import Resolver
from tests.lab import FakeNames, Origin, lab_settings
from tests.lab.behaviours import chunked, drip, drip_raw, gated, redirect, serve, silent, stall
from tests.lab.dns import NameServer
from tests.transport.attack import attack, nothing_left

# What a busy machine may add; without its limit each of these would take far longer.
SOON = 3.0
SHORT = {
    "header_seconds": 0.3,
    "idle_seconds": 0.3,
    "connect_seconds": 0.5,
    "dial_seconds": 0.4,
    "dns_seconds": 0.3,
}


async def test_t01_silence_after_the_request_ends_with_the_head_limit() -> None:
    """Whoever accepts and says nothing is given up."""
    async with Origin({"/x": silent()}) as origin:
        outcome = await attack(origin.url("/x"), lab_settings(origin, pace=SHORT))
    assert isinstance(outcome.failure, SourceTooSlow)
    assert outcome.failure.limit_seconds == 0.3
    assert 0.3 <= outcome.seconds < SOON


async def test_t01_source_that_reads_nothing_is_given_up() -> None:
    """Also one that does not even read the request."""
    async with Origin(is_mute=True) as origin:
        outcome = await attack(origin.url("/x"), lab_settings(origin, pace=SHORT))
    assert isinstance(outcome.failure, SourceTooSlow)


@pytest.mark.parametrize(
    "raw", [b"HTTP/1.1 200 OK\r\nX: " + b"a" * 500, b"HTTP/1.1 103 E\r\n\r\n" * 50, b"\r\n" * 500, b"H" * 500]
)
async def test_t02_dripping_head_ends_with_its_limit(raw: bytes) -> None:
    """A byte now and then is not silence, and still no head."""
    async with Origin({"/x": drip_raw(raw)}) as origin:
        outcome = await attack(origin.url("/x"), lab_settings(origin, pace=SHORT))
    assert outcome.code in {"source-too-slow", "bad-response"}
    assert outcome.seconds < SOON


async def test_t03_chain_of_slow_hops_ends_with_its_own_limit() -> None:
    """Five hops that are each just fast enough are too slow together."""
    opened = asyncio.Event()
    asyncio.get_running_loop().call_later(5.0, opened.set)

    async def slow(exchange) -> None:
        await asyncio.sleep(0.2)
        await redirect(f"/{len(exchange.origin.requests)}")(exchange)

    async with Origin({"*": slow}) as origin:
        outcome = await attack(origin.url("/x"), lab_settings(origin, pace=SHORT | {"chain_seconds": 0.5}))
    assert isinstance(outcome.failure, SourceTooSlow)
    assert outcome.failure.limit_seconds == 0.5
    assert 0.5 <= outcome.seconds < SOON
    assert len(outcome.hops) >= 2


async def test_t04_silence_in_the_body_ends_with_its_limit() -> None:
    """The clock runs while we wait, and is set back by every byte."""
    async with Origin({"/x": stall(b"a" * 1000, 500)}) as origin:
        outcome = await attack(origin.url("/x"), lab_settings(origin, pace=SHORT))
    assert isinstance(outcome.failure, SourceTooSlow)
    assert outcome.body == b"a" * 500
    assert 0.3 <= outcome.seconds < SOON


async def test_t04_slow_reader_is_not_held_against_the_source() -> None:
    """While nobody asks for bytes, silence costs the source nothing."""
    data = b"a" * 10_000
    async with Origin({"/x": serve(data)}) as origin:
        request = SourceRequest(url=origin.url("/x"))
        async with Gate().open(request, lab_settings(origin, pace=SHORT), lambda _: None) as source:
            await asyncio.sleep(0.5)
            body = await source.read()
            await asyncio.sleep(0.5)
            while chunk := await source.read():
                body += chunk
            assert source.waited() < 0.3
    assert body == data


async def read_above(floor: RateFloor, source: Source) -> None:
    """Read a source to its end, as long as it is fast enough."""
    while chunk := await source.read():
        floor.feed(chunk)


async def test_t05_drip_of_the_body_ends_with_the_floor() -> None:
    """No silence, no rate: the floor ends what the silence limit cannot."""
    pace = SHORT | {"floor_bytes_per_second": 10_000, "floor_window_seconds": 0.3, "floor_grace_seconds": 0.0}
    async with Origin({"/x": drip(b"a" * 10_000, piece=10)}) as origin:
        settings = lab_settings(origin, pace=pace)
        request = SourceRequest(url=origin.url("/x"))
        began = time.monotonic()
        async with nothing_left():
            async with Gate().open(request, settings, lambda _: None) as source:
                with pytest.raises(SourceTooSlow):
                    await read_above(RateFloor(settings, source.waited), source)
            await origin.wait_idle()
    assert 0.3 <= time.monotonic() - began < SOON


@pytest.mark.parametrize("is_chunked", [True, False])
async def test_t06_stall_before_the_end_is_no_end(is_chunked: bool) -> None:
    """All bytes but the last sign of the end: not whole."""

    async def behave(exchange) -> None:
        if is_chunked:
            await chunked([b"a" * 100], is_ended=False)(exchange)
        else:
            await exchange.send_head(200, {"Connection": "keep-alive"})
            await exchange.send_body(b"a" * 100)
        await exchange.wait_gone()

    async with Origin({"/x": behave}) as origin:
        outcome = await attack(origin.url("/x"), lab_settings(origin, pace=SHORT))
    assert isinstance(outcome.failure, SourceTooSlow | Truncated)
    assert outcome.body == b"a" * 100


async def test_t06_kept_connection_does_not_delay_the_end() -> None:
    """A body with a length is whole at its last byte, whatever the source does then."""

    async def behave(exchange) -> None:
        await exchange.send_head(200, {"Content-Length": 3, "Connection": "keep-alive"})
        await exchange.send_body(b"abc")
        await exchange.wait_gone()

    async with Origin({"/x": behave}) as origin:
        outcome = await attack(origin.url("/x"), lab_settings(origin, pace=SHORT))
    assert outcome.body == b"abc"
    assert outcome.seconds < SOON


async def test_h14_stalled_tls_handshake_ends_with_the_connect_limit() -> None:
    """Who accepts and never shakes hands is as good as not there."""
    async with Origin(is_mute=True) as origin:
        outcome = await attack(origin.url("/x").replace("http", "https"), lab_settings(origin, pace=SHORT))
    assert isinstance(outcome.failure, ConnectFailed)
    assert 0.5 <= outcome.seconds < SOON


async def test_h01_address_that_does_not_answer_ends_with_its_limit() -> None:
    """A host that drops what it has no room for is given up, and its dial is let go."""
    with socket.socket() as full, socket.socket() as filler:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        filler.connect(("127.0.0.1", port))
        settings = lab_settings(address={"allow": [{"cidr": "127.0.0.0/8", "ports": [port]}]}, pace=SHORT)
        outcome = await attack(f"http://127.0.0.1:{port}/", settings)
    assert outcome.code in {"connect-failed", "source-too-slow"}
    assert outcome.seconds < SOON


async def test_addresses_that_do_not_answer_are_dialled_side_by_side() -> None:
    """Two dead addresses take no longer than one."""
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
        two.bind(("127.0.0.2", port))
        fillers = []
        for full in (one, two):
            full.listen(0)
            fillers.append(socket.create_connection(full.getsockname()))
        settings = lab_settings(
            address={"allow": [{"cidr": "127.0.0.0/8", "ports": [port]}]},
            pace=SHORT | {"connect_seconds": 5.0},
        )
        gate = Gate(FakeNames({"dead.example": ["127.0.0.1", "127.0.0.2"]}))
        outcome = await attack(f"http://dead.example:{port}/", settings, gate)
        for filler in fillers:
            filler.close()
    assert outcome.code in {"connect-failed", "source-too-slow"}
    assert outcome.seconds < SOON


async def test_dial_that_came_through_too_late_is_closed() -> None:
    """A connection that nobody needs any more is not left to the garbage collector."""

    async def dial() -> socket.socket:
        return socket.socket()

    late = asyncio.create_task(dial())
    await asyncio.sleep(0)
    await _drop([late])
    assert late.result().fileno() == -1


async def test_connection_is_handed_over_once() -> None:
    """The library cannot get a second one, whatever it would want it for."""
    connector = Handover(SourceConnection(asyncio.get_running_loop()))
    await connector._create_connection(None, [], None)
    with pytest.raises(aiohttp.ClientConnectionError):
        await connector._create_connection(None, [], None)
    await connector.close()


async def test_n06_hung_name_ends_with_its_limit() -> None:
    """A resolver that never answers costs the limit, not its own time."""
    names = FakeNames({"hung.example": FakeNames.HANG})
    outcome = await attack("https://hung.example/", lab_settings(pace=SHORT), Gate(names))
    names.release()
    assert isinstance(outcome.failure, NameUnresolved)
    assert 0.3 <= outcome.seconds < SOON


async def test_n06_hung_names_of_one_project_delay_no_other() -> None:
    """However many names hang, another project's first name is looked up at once."""
    answers = {f"hung{number}.example": FakeNames.HANG for number in range(60)} | {
        "good.example": ["127.0.0.1"]
    }
    names = FakeNames(answers)
    settings = lab_settings(
        dns={"max_lookups": 20, "max_lookups_per_project": 5}, pace=SHORT | {"dns_seconds": 1.0}
    )
    resolver = Resolver(names)
    hung = [
        asyncio.create_task(resolver.resolve(f"hung{number}.example", settings, "bad"))
        for number in range(60)
    ]
    try:
        began = time.monotonic()
        assert await resolver.resolve("good.example", settings, "good")
        assert time.monotonic() - began < SOON
        assert names.hung <= 5
        results = await asyncio.gather(*hung, return_exceptions=True)
        assert all(isinstance(result, NameUnresolved) for result in results)
        # Nobody waits for them any more, and still they count: threads cannot be taken back.
        assert names.hung <= 5
        assert await resolver.resolve("good.example", settings, "good")
    finally:
        names.release()


async def test_n06_look_ups_are_limited_over_all_projects() -> None:
    """Twenty threads at the most, and whoever waits gets a turn when one is free."""
    names = FakeNames(
        {f"hung{number}.example": FakeNames.HANG for number in range(60)} | {"good.example": ["127.0.0.1"]}
    )
    settings = lab_settings(
        dns={"max_lookups": 20, "max_lookups_per_project": 5}, pace=SHORT | {"dns_seconds": 5.0}
    )
    resolver = Resolver(names)
    hung = [
        asyncio.create_task(resolver.resolve(f"hung{number}.example", settings, f"project{number % 12}"))
        for number in range(60)
    ]
    waiting = asyncio.create_task(resolver.resolve("good.example", settings, "good"))
    await asyncio.sleep(0.1)
    assert names.hung == 20
    assert not waiting.done()
    names.release()
    assert await waiting
    await asyncio.gather(*hung, return_exceptions=True)


async def test_n06_one_hung_name_asked_by_many_is_one_look_up() -> None:
    """Who asks for the same name at the same time shares the answer."""
    names = FakeNames({"hung.example": FakeNames.HANG})
    resolver = Resolver(names)
    tasks = [
        asyncio.create_task(resolver.resolve("hung.example", lab_settings(pace=SHORT), "a"))
        for _ in range(50)
    ]
    results = await asyncio.gather(*tasks, return_exceptions=True)
    names.release()
    assert all(isinstance(result, NameUnresolved) for result in results)
    assert names.asked == {"hung.example.": 1}


async def test_n06_who_gives_up_waiting_gives_up_the_turn() -> None:
    """A cancelled pull leaves no place taken."""
    names = FakeNames({"hung.example": FakeNames.HANG, "good.example": ["127.0.0.1"]})
    settings = lab_settings(
        dns={"max_lookups": 1, "max_lookups_per_project": 1}, pace=SHORT | {"dns_seconds": 5.0}
    )
    resolver = Resolver(names)
    first = asyncio.create_task(resolver.resolve("hung.example", settings, "a"))
    await asyncio.sleep(0)
    second = asyncio.create_task(resolver.resolve("good.example", settings, "b"))
    third = asyncio.create_task(resolver.resolve("good.example", settings, "c"))
    await asyncio.sleep(0.02)
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    names.release()
    assert await third
    with pytest.raises(NameUnresolved):
        await first


async def test_n06_two_who_waited_for_one_name_share_its_look_up() -> None:
    """Whoever gets a turn and finds the name being looked up already gives the turn back."""
    names = FakeNames(
        {"hung1.example": FakeNames.HANG, "hung2.example": FakeNames.HANG, "good.example": ["127.0.0.1"]}
    )
    settings = lab_settings(
        dns={"max_lookups": 2, "max_lookups_per_project": 2}, pace=SHORT | {"dns_seconds": 5.0}
    )
    resolver = Resolver(names)
    tasks = [
        asyncio.create_task(resolver.resolve(f"hung{number}.example", settings, "a")) for number in (1, 2)
    ]
    await asyncio.sleep(0)
    tasks += [asyncio.create_task(resolver.resolve("good.example", settings, "b")) for _ in range(2)]
    await asyncio.sleep(0.02)
    names.release()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(result, NameUnresolved) for result in results] == [True, True, False, False]
    assert not resolver._running


async def test_n06_turn_that_comes_too_late_is_given_back() -> None:
    """Cancelled in the very moment of its turn: the place is free again."""
    settings, resolver = lab_settings(dns={"max_lookups": 1}), Resolver(FakeNames({}))
    await resolver._take_turn(settings, "a")
    late = asyncio.create_task(resolver._take_turn(settings, "b"))
    await asyncio.sleep(0)
    resolver._give_back("a")
    late.cancel()
    await asyncio.gather(late, return_exceptions=True)
    assert not resolver._running


async def test_n06_machine_without_threads_resolves_nothing() -> None:
    """An error of ours is told like any other, and no place stays taken."""

    def fail(_) -> None:
        raise RuntimeError("can't start new thread")

    resolver = Resolver(FakeNames({"a.example": ["127.0.0.1"]}), fail)
    for _ in range(40):
        with pytest.raises(Shortage):
            await resolver.resolve("a.example", lab_settings(), "a")
    assert not resolver._running


async def test_n06_silent_name_server_ends_with_the_limit() -> None:
    """The operator's own name server may be silent too; no thread waits for it."""
    async with NameServer({"a.example": lambda _: None}) as server:
        outcome = await attack(
            "https://a.example/", lab_settings(dns={"servers": [server.address]}, pace=SHORT)
        )
    assert isinstance(outcome.failure, NameUnresolved)
    assert outcome.seconds < SOON


@pytest.mark.parametrize("host", ["127.0.0.1", "a.example"])
async def test_machine_without_descriptors_reaches_nobody(host: str) -> None:
    """When no socket can be made, nothing is dialled, and the error is one of the table's."""
    async with Origin({"/x": serve(b"a")}) as origin:
        settings = lab_settings(origin, address={"allow": [{"cidr": "127.0.0.1/32", "ports": [origin.port]}]})
        opening = Gate(FakeNames({"a.example": ["127.0.0.1"]})).open(
            SourceRequest(url=origin.url("/x", host)), settings, lambda _: None
        )
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        with Path("/dev/null").open() as last:
            resource.setrlimit(resource.RLIMIT_NOFILE, (last.fileno(), hard))
            try:
                with pytest.raises(Shortage):
                    await opening.__aenter__()
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert origin.connections == 0


async def test_cancelled_pull_leaves_nothing() -> None:
    """Whoever deletes an import gets the connection closed at once, in every phase."""
    opened = asyncio.Event()
    routes = {"/head": silent(), "/body": stall(b"a" * 100, 50), "/later": gated(serve(b"a"), opened)}
    for path in routes:
        async with Origin(routes) as origin, nothing_left():
            task = asyncio.create_task(attack(origin.url(path), lab_settings(origin)))
            await origin.wait_requests(1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            opened.set()
            await origin.wait_idle()


async def test_cancelled_handshake_leaves_nothing() -> None:
    """Also before anything was said."""
    async with Origin(is_mute=True) as origin, nothing_left():
        task = asyncio.create_task(attack(origin.url("/").replace("http", "https"), lab_settings(origin)))
        await origin.wait_connections(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await origin.wait_idle()


async def test_t09_two_hundred_slow_sources_do_not_slow_another() -> None:
    """Stalling and dripping connections cost memory for their buffers, and nobody's time."""
    data = bytes(8 * 1024 * 1024)
    async with Origin({"/slow": stall(b"a" * 100, 50), "/fast": serve(data)}) as origin:
        settings, gate = lab_settings(origin, pace={"idle_seconds": 60.0}), Gate()
        async with nothing_left():
            slow = [asyncio.create_task(attack(origin.url("/slow"), settings, gate)) for _ in range(200)]
            await origin.wait_requests(200)
            began = time.monotonic()
            async with gate.open(SourceRequest(url=origin.url("/fast")), settings, lambda _: None) as source:
                received = 0
                while chunk := await source.read():
                    received += len(chunk)
            assert received == len(data)
            assert time.monotonic() - began < SOON
            for task in slow:
                task.cancel()
            await asyncio.gather(*slow, return_exceptions=True)
            await origin.wait_idle()


async def test_tls_context_is_made_once() -> None:
    """Reading the authorities takes long, so pulls share what came of it."""
    from fetcher.transport.dialling.tls import Trust

    trust = Trust()
    context = await trust.context(lab_settings(), "a.example")
    assert await trust.context(lab_settings(), "b.example") is context
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.options & ssl.OP_NO_RENEGOTIATION
