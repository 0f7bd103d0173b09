"""Our own questions to name servers, and answers that lie."""

import asyncio
import struct
import threading

import dnslib
import pytest
from dnslib import QTYPE, RR, A, DNSHeader, DNSQuestion, DNSRecord
from hypothesis import given
from hypothesis import strategies as st

from fetcher.transport.dns_client import NoAnswer, _Asking, look_up
from fetcher.transport.dns_message import AAAA, BadMessage, ask, read
from fetcher.transport.dns_message import A as KIND_A
from tests.lab.dns import NameServer

NAME = "www.a.example."


def reply(*records: RR, number: int = 7, name: str = NAME, kind: str = "A", **header: int) -> bytes:
    """Make an answer with another library."""
    record = DNSRecord(
        DNSHeader(id=number, qr=header.get("qr", 1), rcode=header.get("rcode", 0), tc=header.get("tc", 0)),
        q=DNSQuestion(name, getattr(QTYPE, kind)),
    )
    for entry in records:
        record.add_answer(entry)
    return bytes(record.pack())


def test_question_is_what_another_library_understands() -> None:
    """Type, class, name and number arrive as they were meant."""
    parsed = DNSRecord.parse(ask(NAME, AAAA, 4242))
    assert (parsed.header.id, parsed.header.rd, len(parsed.questions)) == (4242, 1, 1)
    assert (str(parsed.q.qname), parsed.q.qtype, parsed.q.qclass) == (NAME, QTYPE.AAAA, 1)


def test_addresses_are_read() -> None:
    """Both kinds, each by its own question; the case of names does not matter."""
    four = reply(RR(NAME, QTYPE.A, rdata=A("192.0.2.1")), RR("WWW.A.EXAMPLE", QTYPE.A, rdata=A("192.0.2.2")))
    assert read(four, NAME, KIND_A, 7).addresses == ("192.0.2.1", "192.0.2.2")
    six = reply(RR(NAME, QTYPE.AAAA, rdata=dnslib.AAAA("2001:db8::1")), kind="AAAA")
    assert read(six, NAME, AAAA, 7).addresses == ("2001:db8::1",)


def test_records_of_other_names_are_not_ours() -> None:
    """An address of somebody else in the same answer is passed over."""
    message = reply(RR("evil.example", QTYPE.A, rdata=A("10.0.0.1")), RR(NAME, QTYPE.A, rdata=A("192.0.2.1")))
    assert read(message, NAME, KIND_A, 7).addresses == ("192.0.2.1",)
    other = reply(RR(NAME, QTYPE.AAAA, rdata=dnslib.AAAA("2001:db8::1")))
    assert read(other, NAME, KIND_A, 7).addresses == ()


@pytest.mark.parametrize(
    "message",
    [
        reply(number=8),
        reply(qr=0),
        reply(name="other.example."),
        reply(kind="AAAA"),
        b"",
        b"\x00" * 11,
        b"\xff" * 40,
        ask(NAME, KIND_A, 7),
        struct.pack("!6H", 7, 0x8180, 0, 0, 0, 0),
        struct.pack("!6H", 7, 0x8180, 2, 0, 0, 0) + b"\x00\x00\x01\x00\x01",
        reply(RR(NAME, QTYPE.A, rdata=A("192.0.2.1")))[:-3] + b"",
        struct.pack("!6H", 7, 0x8180, 1, 0, 0, 0) + b"\xc0\x0c\x00\x01\x00\x01",
        struct.pack("!6H", 7, 0x8180, 1, 0, 0, 0) + b"\xc0\x20" + b"\x00" * 40,
        struct.pack("!6H", 7, 0x8180, 1, 0, 0, 0) + b"\x80" + b"a" * 200 + b"\x00\x00\x01\x00\x01",
    ],
)
def test_messages_that_are_no_answer_are_not_believed(message: bytes) -> None:
    """Guesses, echoes, loops and stumps: wait for the real one."""
    try:
        answer = read(message, NAME, KIND_A, 7)
    except BadMessage:
        return
    assert answer.addresses == ()


@given(message=st.binary(max_size=200), seed=st.data())
def test_any_bytes_are_an_answer_or_none(message: bytes, seed: st.DataObject) -> None:
    """Nothing else is raised, and every name ends."""
    good = bytearray(reply(RR(NAME, QTYPE.A, rdata=A("192.0.2.1"))))
    for _ in range(seed.draw(st.integers(0, 4))):
        good[seed.draw(st.integers(0, len(good) - 1))] = seed.draw(st.integers(0, 255))
    for raw in (message, bytes(good), reply() + message):
        try:
            read(raw, NAME, KIND_A, 7)
        except BadMessage:
            continue


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


async def test_guesses_before_the_answer_change_nothing() -> None:
    """Whoever guesses the port still has to guess the number and repeat the question."""

    def guess(asked: DNSRecord) -> bytes:
        return reply(RR(NAME, QTYPE.A, rdata=A("10.0.0.1")), number=asked.header.id ^ 1)

    async with NameServer({NAME.removesuffix("."): guess}) as server:
        with pytest.raises(NoAnswer):
            await look_up(NAME, [server.address], try_seconds=0.1)


async def test_what_comes_after_the_answer_changes_nothing() -> None:
    """A second datagram and a late error find nobody waiting."""
    asking = _Asking(NAME, KIND_A, 7)
    asking.datagram_received(reply(RR(NAME, QTYPE.A, rdata=A("192.0.2.1"))), ("192.0.2.53", 53))
    asking.datagram_received(reply(RR(NAME, QTYPE.A, rdata=A("10.0.0.1"))), ("192.0.2.53", 53))
    asking.error_received(OSError())
    assert asking.answered.result().addresses == ("192.0.2.1",)


async def test_many_questions_at_once_take_no_threads() -> None:
    """A silent server holds nothing but sockets, and each question has its own number."""
    numbers = set()

    def note(asked: DNSRecord) -> None:
        numbers.add(asked.header.id)

    async with NameServer({f"{number}.example": note for number in range(100)}) as server:
        before = threading.active_count()
        tasks = [
            asyncio.create_task(look_up(f"{number}.example.", [server.address])) for number in range(100)
        ]
        await asyncio.sleep(0.3)
        assert threading.active_count() == before
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert len(numbers) > 190
