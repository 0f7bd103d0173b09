"""A real name server on UDP and TCP that says what the test wants."""

import asyncio
import struct
from collections import Counter
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from dnslib import AAAA, CNAME, QTYPE, RCODE, RR, A, DNSRecord

Answerer = Callable[[DNSRecord], bytes | list[bytes] | None]


class NameServer:
    """Answers from a table, or with whatever a function makes of the question.

    async with NameServer({"a.example": ["192.0.2.1"]}) as server:
        settings = lab_settings(origin, dns={"servers": [server.address]})

    A value is a list of addresses and aliases (`"CNAME b.example"`), an rcode
    by name (`"SERVFAIL"`), or a function of the question that gives the bytes
    to send back, or several datagrams; None says nothing.

    Args:
        is_cut: What goes by UDP does not fit.
        by_tcp: Answers by TCP where they are others.

    Attributes:
        asked: How often each name was asked for, by UDP.
        asked_by_tcp: Likewise, by TCP.
    """

    def __init__(
        self,
        table: dict[str, Sequence[str] | str | Answerer],
        *,
        is_cut: bool = False,
        by_tcp: dict[str, Answerer] | None = None,
    ) -> None:
        self.table = table
        self.asked: Counter[str] = Counter()
        self.asked_by_tcp: Counter[str] = Counter()
        self.address = ""
        self._is_cut = is_cut
        self._by_tcp = by_tcp or {}

    async def __aenter__(self) -> Self:
        """Listen on a free port, UDP and TCP."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        loop = asyncio.get_running_loop()
        self._udp, _ = await loop.create_datagram_endpoint(
            lambda: _Datagrams(self), local_addr=("127.0.0.1", port)
        )
        self.address = f"127.0.0.1:{port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go."""
        self._udp.close()
        self._server.close()

    def answers(self, question: bytes, *, by_tcp: bool = False) -> list[bytes]:
        """Make the answers to a question."""
        asked = DNSRecord.parse(question)
        name = str(asked.q.qname).removesuffix(".")
        (self.asked_by_tcp if by_tcp else self.asked)[name] += 1
        said = self._by_tcp.get(name) if by_tcp else None
        said = said or self.table.get(name, "NXDOMAIN")
        if callable(said):
            made = said(asked) or []
            return [made] if isinstance(made, bytes) else made
        reply = asked.reply()
        if isinstance(said, str):
            reply.header.rcode = getattr(RCODE, said)
        elif self._is_cut and not by_tcp:
            reply.header.tc = 1
        else:
            self._fill(reply, name, said)
        return [bytes(reply.pack())]

    def _fill(self, reply: DNSRecord, name: str, said: Sequence[str]) -> None:
        kind = QTYPE[reply.q.qtype]
        for entry in said:
            if entry.startswith("CNAME "):
                target = entry.removeprefix("CNAME ")
                reply.add_answer(RR(name, QTYPE.CNAME, rdata=CNAME(target)))
                following = self.table.get(target, [])
                if target != name and isinstance(following, list) and len(reply.rr) < 40:
                    self._fill(reply, target, following)
            elif (":" in entry) == (kind == "AAAA"):
                rdata = AAAA(entry) if ":" in entry else A(entry)
                reply.add_answer(RR(name, reply.q.qtype, rdata=rdata))

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            (size,) = struct.unpack("!H", await reader.readexactly(2))
            for answer in self.answers(await reader.readexactly(size), by_tcp=True):
                writer.write(struct.pack("!H", len(answer)) + answer)
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: NameServer) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        for answer in self._server.answers(data):
            self._transport.sendto(answer, addr)
