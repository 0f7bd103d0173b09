"""Our own questions to name servers, and answers that lie."""

import asyncio
import threading
from collections.abc import Callable
from itertools import pairwise

import dnslib
import pytest
from dnslib import CNAME, QTYPE, RR, A, DNSHeader, DNSQuestion, DNSRecord

from fetcher.transport.dialling.dns_client import MAX_DATAGRAM_BYTES, NoAnswer, look_up
from tests.lab.dns import NameServer

NAME = "www.a.example."
EVIL = "10.0.0.1"
GOOD = "192.0.2.1"
SIX = {GOOD: "2001:db8::1", EVIL: "fd00::1"}  # Likewise, of the other family.


def reply(asked: DNSRecord, *records: RR, **changes: int | str) -> bytes:
    """Make an answer with another library, wrong where the test wants it to be."""
    header = DNSHeader(
        id=changes.get("number", asked.header.id), qr=changes.get("qr", 1), tc=changes.get("tc", 0)
    )
    kind = changes.get("kind", asked.q.qtype)
    record = DNSRecord(header, q=DNSQuestion(changes.get("name", str(asked.q.qname)), kind))
    for entry in records:
        record.add_answer(entry)
    return bytes(record.pack())


def address(asked: DNSRecord, value: str = GOOD, name: str = NAME) -> RR:
    """Make a record of the family that was asked for."""
    if asked.q.qtype == QTYPE.AAAA:
        return RR(name, QTYPE.AAAA, rdata=dnslib.AAAA(SIX[value]))
    return RR(name, QTYPE.A, rdata=A(value))


GUESSES: dict[str, Callable[[DNSRecord], bytes]] = {
    "another number": lambda asked: reply(asked, address(asked, EVIL), number=asked.header.id ^ 1),
    "a question": lambda asked: reply(asked, address(asked, EVIL), qr=0),
    "another name": lambda asked: reply(asked, address(asked, EVIL), name="other.example."),
    "another type": lambda asked: reply(asked, address(asked, EVIL), kind=QTYPE.TXT),
    "another name, cut": lambda asked: reply(asked, name="other.example.", tc=1),
    "the question itself": lambda asked: bytes(asked.pack()),
    "nothing": lambda _asked: b"\0",
    "noise": lambda _asked: b"\xff" * 40,
    "a stump": lambda asked: reply(asked, address(asked, EVIL))[:-3],
    "a name that is a loop": lambda asked: reply(asked)[:12] + b"\xc0\x0c\x00\x01\x00\x01",
    "a name that leads out": lambda asked: reply(asked)[:12] + b"\xc0\x20" + b"\0" * 40,
    "a label that is too long": lambda asked: reply(asked)[:12] + b"\x80" + b"a" * 200 + b"\0\0\1\0\1",
}


@pytest.mark.parametrize("guess", GUESSES)
async def test_what_does_not_answer_the_question_is_passed_over(guess: str) -> None:
    """Whoever guesses the port has to guess the number and the question, too; the answer may come later."""

    def both(asked: DNSRecord) -> list[bytes]:
        return [GUESSES[guess](asked), reply(asked, address(asked))]

    async with NameServer({NAME.removesuffix("."): both}) as server:
        assert await look_up(NAME, [server.address]) == [SIX[GOOD], GOOD]


async def test_guesses_alone_are_no_answer() -> None:
    """Nobody is believed for lack of anybody else."""
    async with NameServer({NAME.removesuffix("."): GUESSES["another number"]}) as server:
        with pytest.raises(NoAnswer):
            await look_up(NAME, [server.address], try_seconds=0.1)


async def test_records_of_other_names_are_not_ours() -> None:
    """An address of somebody else in the same answer is passed over; the case of names does not matter."""

    def mixed(asked: DNSRecord) -> bytes:
        return reply(asked, address(asked, EVIL, "evil.example."), address(asked, GOOD, "WWW.A.Example."))

    async with NameServer({NAME.removesuffix("."): mixed}) as server:
        assert await look_up(NAME, [server.address]) == [SIX[GOOD], GOOD]


async def test_aliases_that_go_in_circles_end() -> None:
    """A chain without an end, or of too many links, leads to no address."""

    def circle(asked: DNSRecord) -> bytes:
        there, back = (
            RR(NAME, QTYPE.CNAME, rdata=CNAME("b.example.")),
            RR("b.example.", QTYPE.CNAME, rdata=CNAME(NAME)),
        )
        return reply(asked, there, back)

    def long(asked: DNSRecord) -> bytes:
        names = [NAME, *(f"n{number}.example." for number in range(30))]
        links = [RR(name, QTYPE.CNAME, rdata=CNAME(following)) for name, following in pairwise(names)]
        return reply(asked, *links, address(asked, EVIL, names[-1]))

    for answerer in (circle, long):
        async with NameServer({NAME.removesuffix("."): answerer}) as server:
            with pytest.raises(NoAnswer):
                await look_up(NAME, [server.address])


async def test_answer_of_the_largest_size_is_read() -> None:
    """As many records as a message can hold: the caller decides how many addresses are too many."""
    most = 4000

    def huge(asked: DNSRecord) -> bytes:
        if asked.q.qtype != QTYPE.A:
            return reply(asked)
        record = b"\xc0\x0c\0\1\0\1\0\0\0\0\0\4"
        head = bytearray(reply(asked))
        head[6:8] = most.to_bytes(2)
        return bytes(head) + b"".join(record + (number + (10 << 24)).to_bytes(4) for number in range(most))

    def cut(asked: DNSRecord) -> bytes:
        return reply(asked, tc=1)

    async with NameServer({NAME.removesuffix("."): cut}, by_tcp={NAME.removesuffix("."): huge}) as server:
        assert len(await look_up(NAME, [server.address], try_seconds=5)) == most


async def test_slow_server_is_left_for_the_next() -> None:
    """Silence costs one try, by UDP and by TCP."""
    name = NAME.removesuffix(".")
    async with (
        NameServer({name: lambda _asked: None}) as silent,
        NameServer({name: lambda asked: reply(asked, tc=1)}, by_tcp={name: lambda _asked: None}) as cut,
        NameServer({name: [GOOD]}) as server,
    ):
        servers = [silent.address, cut.address, server.address]
        assert await look_up(NAME, servers, try_seconds=0.1) == [GOOD]
        assert silent.asked[name] == cut.asked_by_tcp[name] == 2


async def test_both_families_are_asked_for() -> None:
    """What a name has of either is found, IPv6 first."""
    async with NameServer(
        {"a.example": ["192.0.2.1", "2001:db8::1"], "b.example": ["CNAME a.example"]}
    ) as server:
        assert await look_up("a.example.", [server.address]) == ["2001:db8::1", "192.0.2.1"]
        assert await look_up("B.example.", [server.address]) == ["2001:db8::1", "192.0.2.1"]
        assert server.asked["a.example"] == 2


async def test_answer_that_is_too_long_is_asked_for_by_tcp() -> None:
    """A cut datagram is no answer."""
    many = [f"192.0.2.{number}" for number in range(200)]
    async with NameServer({"a.example": many}, is_cut=True) as server:
        assert len(await look_up("a.example.", [server.address])) == 200
        assert server.asked_by_tcp["a.example"] == 2


async def test_next_server_is_asked_where_one_fails() -> None:
    """A server that refuses, fails or is not there is no answer; one that knows of no name is."""
    good = {"a.example": ["192.0.2.1"]}
    async with (
        NameServer({"a.example": "SERVFAIL"}) as bad,
        NameServer(good) as server,
        NameServer({}) as ignorant,
    ):
        assert await look_up("a.example.", [bad.address, server.address]) == ["192.0.2.1"]
        assert await look_up("a.example.", ["127.0.0.1:1", server.address]) == ["192.0.2.1"]
        with pytest.raises(NoAnswer):
            await look_up("a.example.", [ignorant.address, server.address])
        with pytest.raises(NoAnswer):
            await look_up("a.example.", [bad.address])


async def test_many_questions_at_once_take_no_threads() -> None:
    """A silent server holds nothing but sockets, and each question has its own number."""
    numbers, sizes = set(), set()
    all_came = asyncio.Event()

    def note(asked: DNSRecord) -> None:
        numbers.add(asked.header.id)
        sizes.add(asked.ar[0].edns_len)
        if len(numbers) > 190:
            all_came.set()

    async with NameServer({f"{number}.example": note for number in range(100)}) as server:
        before = threading.active_count()
        tasks = [
            asyncio.create_task(look_up(f"{number}.example.", [server.address], try_seconds=60))
            for number in range(100)
        ]
        async with asyncio.timeout(60):
            await all_came.wait()
        assert threading.active_count() == before
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert sizes == {MAX_DATAGRAM_BYTES}
