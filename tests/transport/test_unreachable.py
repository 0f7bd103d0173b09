"""Places that are never reached: rows A01, N01 to N10 of the attacks. Canaries count who tries."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from ipaddress import IPv4Address, ip_address

import pytest

from fetcher.config import Settings
from fetcher.errors import AddressForbidden, InvalidUrl, NameUnresolved
from fetcher.transport import Gate, SourceRequest
from fetcher.transport.dialling.resolver import ask_machine
from fetcher.transport.gate import _wait_for_step
from fetcher.transport.plan import Plan, is_own
from tests.lab import Canary, FakeNames, Origin, lab_settings, words
from tests.lab.behaviours import redirect, serve, status
from tests.lab.dns import NameServer
from tests.transport.attack import attack

DATA = b"image" * 1000


@asynccontextmanager
async def canaries(port: int = 0) -> AsyncIterator[list[Canary]]:
    """Listen where nobody may come, on one port of many loopback addresses; none may be reached."""
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(Canary("127.0.0.2", port))
        others = [Canary(host, first.port) for host in ("127.0.0.3", "127.9.9.9", "::1")]
        birds = [first, *[await stack.enter_async_context(other) for other in others]]
        yield birds
        await asyncio.sleep(0)
        assert [bird.accepted for bird in birds] == [0] * len(birds)


def opened(port: int) -> Settings:
    """Open one address and port, so that the canaries' port is one that a URL may name."""
    return lab_settings(address={"allow": [{"cidr": "127.0.0.1/32", "ports": [port]}]})


@pytest.mark.parametrize(
    "answer", words("127.0.0.2 127.9.9.9 ::1 10.0.0.1 169.254.169.254 fd00::1 0.0.0.0 ::")
)
async def test_n01_names_of_forbidden_addresses_are_refused(answer: str) -> None:
    """A public name that resolves inside leads nowhere; it is looked up once and never dialled."""
    async with canaries() as birds:
        names = FakeNames({"rebind.example": [answer]})
        outcome = await attack(f"http://rebind.example:{birds[0].port}/", opened(birds[0].port), Gate(names))
    assert isinstance(outcome.failure, AddressForbidden)
    assert outcome.failure.address == str(ip_address(answer))
    assert names.asked == {"rebind.example.": 1}
    assert (outcome.hops[0].address, outcome.hops[0].status) == (answer, None)


@pytest.mark.parametrize(
    "answers",
    [["127.0.0.1", "127.0.0.2"], ["127.0.0.2", "127.0.0.1"], ["127.0.0.1", "::1"], ["127.0.0.1", "10.0.0.1"]],
)
async def test_n02_one_forbidden_answer_refuses_the_name(answers: list[str]) -> None:
    """Picking the good one would let rotation try again and again."""
    async with Origin({"/x": serve(DATA)}) as origin, canaries(origin.port):
        gate = Gate(FakeNames({"mixed.example": answers}))
        outcome = await attack(origin.url("/x", "mixed.example"), lab_settings(origin), gate)
    assert outcome.code == "address-forbidden"
    assert origin.connections == 0


async def test_n03_answer_that_changes_after_the_judgement_changes_nothing() -> None:
    """Rebinding between check and use: there is no second look-up to rebind."""
    async with Origin({"/x": serve(DATA)}) as origin, canaries(origin.port):
        names = FakeNames({"rebind.example": (["127.0.0.1"], ["127.0.0.2"])})
        outcome = await attack(origin.url("/x", "rebind.example"), lab_settings(origin), Gate(names))
    assert outcome.body == DATA
    assert names.asked.total() == 1


async def test_n04_each_attempt_is_judged_anew() -> None:
    """A name that was good once is judged again when the pull is tried again or resumed."""
    async with Origin({"/x": serve(DATA, etag='"1"')}) as origin, canaries(origin.port):
        names = FakeNames({"rebind.example": (["127.0.0.1"], ["127.0.0.2"])})
        gate, url = Gate(names), origin.url("/x", "rebind.example")
        assert (await attack(url, lab_settings(origin), gate)).code == "ok"
        resumed = SourceRequest(url=url, offset=10, if_range='"1"')
        assert (await attack(resumed, lab_settings(origin), gate)).code == "address-forbidden"
    assert origin.connections == 1


async def test_n04_restart_after_a_refused_range_goes_to_the_judge_again() -> None:
    """Also the second request of one attempt resolves, judges and dials by itself."""
    async with Origin({"/x": status(416)}) as origin, canaries(origin.port):
        names = FakeNames({"rebind.example": (["127.0.0.1"], ["127.0.0.2"])})
        request = SourceRequest(url=origin.url("/x", "rebind.example"), offset=10)
        outcome = await attack(request, lab_settings(origin), Gate(names))
    assert outcome.code == "address-forbidden"
    assert [hop.status for hop in outcome.hops] == [416, None]


async def test_n04_redirect_to_the_same_name_is_judged_anew() -> None:
    """A hop to the very same host is a new dial, not an old permission."""
    async with Origin({"/x": redirect("/y"), "/y": serve(DATA)}) as origin, canaries(origin.port):
        names = FakeNames({"rebind.example": (["127.0.0.1"], ["127.0.0.2"])})
        outcome = await attack(origin.url("/x", "rebind.example"), lab_settings(origin), Gate(names))
    assert outcome.code == "address-forbidden"
    assert origin.connections == 1


@pytest.mark.parametrize(
    "said", [["CNAME localhost"], ["CNAME inner.corp"], ["CNAME a.example", "CNAME b.example"]]
)
async def test_n05_aliases_are_judged_by_where_they_end(said: list[str]) -> None:
    """A real name server sends a chain; only the addresses at its end matter, and they are judged."""
    table = {
        "alias.example": said,
        "localhost": ["127.0.0.2", "::1"],
        "inner.corp": ["10.0.0.1"],
        "a.example": ["127.0.0.2"],
    }
    async with canaries() as birds, NameServer(table) as server:
        settings = lab_settings(
            address={"allow": [{"cidr": "127.0.0.1/32", "ports": [birds[0].port]}]},
            dns={"servers": [server.address]},
        )
        outcome = await attack(f"http://alias.example:{birds[0].port}/", settings)
    assert outcome.code in {"address-forbidden", "name-unresolved"}
    assert outcome.code == "address-forbidden" or len(said) == 2


async def test_n05_circle_of_aliases_ends() -> None:
    """A name that is an alias of itself has no address, and that is found out at once."""
    table = {
        "a.example": ["CNAME b.example"],
        "b.example": ["CNAME a.example"],
        "c.example": ["CNAME c.example"],
    }
    async with NameServer(table) as server:
        settings = lab_settings(dns={"servers": [server.address]})
        for name in ("a.example", "c.example"):
            outcome = await attack(f"https://{name}/", settings)
            assert isinstance(outcome.failure, NameUnresolved)
            assert outcome.seconds < 60


@pytest.mark.parametrize("said", [[], "SERVFAIL", "NXDOMAIN", "REFUSED", "NOTIMP"])
async def test_n08_empty_and_failing_answers_are_told(said: list[str] | str) -> None:
    """No name, no address, a server that fails: one error, no crash."""
    async with NameServer({"a.example": said}) as server:
        outcome = await attack("https://a.example/", lab_settings(dns={"servers": [server.address]}))
    assert isinstance(outcome.failure, NameUnresolved)


@pytest.mark.parametrize(
    "said", [[], OSError("down"), ["nonsense"], ["localhost"], ["127.0.0.1", ""], ["1.2.3"], ["::1%lo", "x"]]
)
async def test_n08_useless_answers_of_the_machine_are_told(said: list[str] | OSError) -> None:
    """Likewise from the machine's own resolver, which may also answer with a name."""
    outcome = await attack("https://a.example/", lab_settings(), Gate(FakeNames({"a.example": said})))
    assert isinstance(outcome.failure, NameUnresolved)


async def test_n07_name_with_too_many_addresses_is_refused() -> None:
    """At the limit all are judged, one past it none is taken."""
    many = [f"203.0.{high}.{low}" for high in (112, 114) for low in range(1, 9)]
    names = FakeNames({"at.example": many, "past.example": [*many, "203.0.115.1"]})
    settings = lab_settings(address={"deny": ["203.0.112.8/32"]})
    assert (await attack("https://at.example/", settings, Gate(names))).code == "address-forbidden"
    assert (await attack("https://past.example/", settings, Gate(names))).code == "name-unresolved"


async def test_n09_names_are_looked_up_absolutely() -> None:
    """The dot at the end keeps the machine's search domains out; an allowed inner name is asked as it is."""
    names = FakeNames({})
    await attack("https://x.y/", lab_settings(), Gate(names))
    await attack("https://mirror/", lab_settings(url={"allow_hosts": ["mirror"]}), Gate(names))
    assert names.asked == {"x.y.": 1, "mirror": 1}
    assert (await refused("https://internal-api/")).rule == "host-name"


async def refused(url: str) -> InvalidUrl:
    """Submit a URL that goes no further than its text."""
    names = FakeNames({})
    with pytest.raises(InvalidUrl) as caught:
        async with Gate(names).open(SourceRequest(url=url), lab_settings(), lambda _: None):
            pass
    assert not names.asked
    return caught.value


async def test_n10_machine_that_lies_about_a_public_name_is_not_believed() -> None:
    """A line in the hosts file makes no loopback address public; asked for real."""
    async with canaries() as birds:

        def lying(name: str) -> list[str]:
            return ask_machine("localhost") if name == "www.a.example." else ask_machine(name)

        outcome = await attack(
            f"http://www.a.example:{birds[0].port}/",
            opened(birds[0].port + 1 if birds[0].port < 65535 else 1),
            Gate(lying),
        )
        assert isinstance(outcome.failure, InvalidUrl)  # the port is not opened at all
        outcome = await attack("http://www.a.example/", lab_settings(), Gate(lying))
    assert isinstance(outcome.failure, AddressForbidden)


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.2:{port}/", "http://[::1]:{port}/", "http://localhost:{port}/", "http://0x7f.2:{port}/"],
)
async def test_a01_a02_literals_end_before_any_socket(url: str) -> None:
    """Neither name server nor network is asked about an address in the URL."""
    async with canaries() as birds:
        names = FakeNames({"localhost": ["127.0.0.1"]})
        outcome = await attack(url.format(port=birds[0].port), opened(birds[0].port), Gate(names))
    assert isinstance(outcome.failure, InvalidUrl)
    assert not names.asked
    assert outcome.hops == []


async def test_a01_literals_that_are_allowed_are_judged_at_the_dial() -> None:
    """Where the operator lets addresses stand in URLs, the table still holds."""
    async with canaries() as birds:
        settings = lab_settings(
            url={"allow_literals": True},
            address={"allow": [{"cidr": "127.0.0.1/32", "ports": [birds[0].port]}]},
        )
        for host in ("127.0.0.2", "[::1]", "[::ffff:127.0.0.2]", "0.0.0.0", "[::]"):
            outcome = await attack(f"http://{host}:{birds[0].port}/", settings)
            assert outcome.code == "address-forbidden"


async def test_address_and_port_are_opened_together() -> None:
    """The lab's own address on another port, and its port on another address, stay closed."""
    async with Origin({"/x": serve(DATA)}) as origin, Canary("127.0.0.1") as neighbour, canaries(origin.port):
        settings = lab_settings(
            origin,
            address={
                "allow": [
                    {"cidr": "127.0.0.1/32", "ports": [origin.port]},
                    {"cidr": "10.0.0.0/8", "ports": [neighbour.port]},
                ]
            },
        )
        gate = Gate(FakeNames({"a.example": ["127.0.0.1"], "b.example": ["127.0.0.3"]}))
        assert (await attack(origin.url("/x", "a.example"), settings, gate)).code == "ok"
        assert (
            await attack(f"http://a.example:{neighbour.port}/x", settings, gate)
        ).code == "address-forbidden"
        assert (await attack(origin.url("/x", "b.example"), settings, gate)).code == "address-forbidden"
        assert neighbour.accepted == 0


def test_own_addresses_are_known() -> None:
    """The machine's own addresses, public or not, are found without sending anything."""
    assert is_own(IPv4Address("127.0.0.1"), 80)
    assert is_own(ip_address("::1"), 80)
    assert not is_own(IPv4Address("192.0.2.1"), 80)
    assert not is_own(IPv4Address("93.184.216.34"), 80)
    assert not is_own(IPv4Address("255.255.255.255"), 80)  # no way there at all


class AtHome(Plan):
    """A plan on a machine that owns every address."""

    owns = staticmethod(lambda _address, _port: True)


def test_own_public_address_is_refused() -> None:
    """A public address that is bound here leads to our own services; one that the operator opened may."""
    public = IPv4Address("93.184.216.34")
    with pytest.raises(AddressForbidden) as caught:
        AtHome("me.example", 443, [public], lab_settings()).judge()
    assert caught.value.reason == "it is this machine's own"
    AtHome(
        "me.example", 443, [public], lab_settings(address={"allow": [{"cidr": "93.184.216.34/32"}]})
    ).judge()


def test_a10_own_addresses_are_opened_port_by_port() -> None:
    """An entry for another port opens no port of this machine, and none opens the one we listen on."""

    class AtHome(Plan):
        owns = staticmethod(lambda _address, _port: True)

    public = IPv4Address("93.184.216.34")
    url = {"ports": [443, 8443, 9292]}

    def judge(port: int, *ports: int, listening: int = 1) -> None:
        entry = {"cidr": "93.184.216.0/24", "ports": list(ports)}
        AtHome(
            *("me.example", port, [public], lab_settings(url=url, address={"allow": [entry]})),
            own_ports={listening},
        ).judge()

    judge(8443, 8443)
    for port, ports, listening in ((443, (8443,), 1), (9292, (443,), 1), (8443, (8443,), 8443)):
        with pytest.raises(AddressForbidden) as caught:
            judge(port, *ports, listening=listening)
        assert caught.value.reason == "it is this machine's own"


def test_socket_for_an_unjudged_address_is_never_made() -> None:
    """The last check before the dial knows what was judged, whatever a library would dial."""
    plan = Plan("a.example", 443, [IPv4Address("93.184.216.34")], lab_settings())
    for address in ("93.184.216.35", "127.0.0.1", "::ffff:93.184.216.34"):
        with pytest.raises(AddressForbidden):
            plan.make_socket(ip_address(address))
    smuggled = Plan("a.example", 443, [IPv4Address("127.0.0.2")], lab_settings())
    with pytest.raises(AddressForbidden):
        smuggled.make_socket(IPv4Address("127.0.0.2"))


async def test_outsiders_see_one_error_whatever_the_reason() -> None:
    """Forbidden, unresolved, refused and broken off: the same words, and about the same time."""
    async with Origin({}, greeting=b"") as origin:
        origin.routes["/x"] = lambda _: asyncio.sleep(0)
        settings = lab_settings(
            origin,
            address={"allow": [{"cidr": "127.0.0.1/32", "ports": [origin.port, 1]}]},
            pace={"unreachable_step_seconds": 0.3},
        )
        names = FakeNames({"in.example": ["10.0.0.1"], "up.example": ["127.0.0.1"]})
        urls = {
            "address-forbidden": "https://in.example/",
            "name-unresolved": "https://none.example/",
            "connect-failed": "http://up.example:1/",
        }
        outcomes = {code: await attack(url, settings, Gate(names)) for code, url in urls.items()}
        broken = await attack(origin.url("/x", "up.example"), settings, Gate(names))
    assert {code: outcome.code for code, outcome in outcomes.items()} == {code: code for code in urls}
    everything = [*outcomes.values(), broken]
    assert len({outcome.told for outcome in everything}) == 1
    assert all(0.3 <= outcome.seconds < 3.0 for outcome in everything)  # A busy machine adds some.


async def test_answer_within_one_tick_of_the_clock_waits_for_the_step_too() -> None:
    """The service's loop tells whole milliseconds: what fails within one of them is not told at once."""
    loop = asyncio.get_running_loop()
    began = time.monotonic()
    await _wait_for_step(loop.time() + 0.001, 0.05)
    assert time.monotonic() - began >= 0.05
