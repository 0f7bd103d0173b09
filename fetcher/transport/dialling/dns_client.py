"""Asking the operator's name servers ourselves: no thread, no search domain, no hosts file."""

import asyncio
import socket
from collections.abc import Sequence

import dns.asyncbackend
import dns.asyncquery
import dns.exception
import dns.inet
import dns.message
import dns.rcode
from dns.rdatatype import AAAA, A, RdataType

# How long one server is waited for before the next is asked; all are asked twice.
TRY_SECONDS = 1.0
ROUNDS = 2
# Datagrams of this size arrive in one piece everywhere; longer answers come by TCP. Source: RFC 9715.
MAX_DATAGRAM_BYTES = 1232
# An answer of no use, or none at all.
FAULTS = (OSError, EOFError, ValueError, dns.exception.DNSException)


class NoAnswer(OSError):
    """No server gave an answer of use."""


async def look_up(name: str, servers: Sequence[str], try_seconds: float = TRY_SECONDS) -> list[str]:
    """Find the addresses of both families, IPv6 first.

    Args:
        name: Absolute, in A-labels.
        servers: `host:port` of each; asked in this order.
        try_seconds: For each server and round.

    Raises:
        OSError: There is no such name, or no server answers.
    """
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_ask_all(name, kind, servers, try_seconds)) for kind in (AAAA, A)]
    answers = [task.result() for task in tasks]
    if None in answers and not any(answers):
        raise NoAnswer
    return [address for answer in answers for address in answer or ()]


async def _ask_all(
    name: str, kind: RdataType, servers: Sequence[str], try_seconds: float
) -> list[str] | None:
    """Ask one server after the other; None where there is no such name, or nobody says anything of use."""
    for _ in range(ROUNDS):
        for server in servers:
            try:
                async with asyncio.timeout(try_seconds):
                    answer = await _ask_one(name, kind, server)
                if answer.rcode() == dns.rcode.NXDOMAIN:
                    return None
                if answer.rcode() == dns.rcode.NOERROR:
                    return _addresses(answer)
            except FAULTS:
                continue
    return None


async def _ask_one(name: str, kind: RdataType, server: str) -> dns.message.QueryMessage:
    host, _, port = server.rpartition(":")
    place = (host.strip("[]"), int(port))
    question = dns.message.make_query(name.lower(), kind, use_edns=0, payload=MAX_DATAGRAM_BYTES)
    backend = dns.asyncbackend.get_backend("asyncio")
    # Connected, so that the kernel drops what others send, and says so where nobody listens.
    family = dns.inet.af_for_address(place[0])
    connected = await backend.make_socket(family, socket.SOCK_DGRAM, destination=place)  # type: ignore[no-untyped-call] # of dnspython
    async with connected:
        # What does not answer the question may be forged: the answer may still come.
        answer, _is_by_tcp = await dns.asyncquery.udp_with_fallback(
            question, place[0], port=place[1], udp_sock=connected, backend=backend, ignore_errors=True
        )
    if not isinstance(answer, dns.message.QueryMessage):
        raise dns.message.NotQueryResponse
    return answer


def _addresses(answer: dns.message.QueryMessage) -> list[str]:
    """Go along the aliases; records of names that the chain does not lead to are not ours."""
    found = answer.resolve_chaining().answer
    return [] if found is None else [record.address for record in found]
