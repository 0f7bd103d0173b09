"""Any bytes from a name server are an answer to our question or none; every name in them ends."""

from ipaddress import ip_address

from fetcher.transport.dns_message import AAAA, A, BadMessage, ask, read
from fuzz.choices import Choices

INSTRUMENT = ["fetcher.transport.dns_message"]
NAME = "a.example."


def check(seed: bytes) -> None:
    """Check the invariant on one input."""
    choices = Choices(seed)
    kind = choices.pick((A, AAAA))
    begin, count = choices.number(3), choices.number(300)
    message = choices.raw(len(seed))
    if begin:
        question = bytearray(ask(NAME, kind, 7)[: -11 if begin == 1 else None])
        question[2:4] = b"\x81\x80"
        question[6:8] = count.to_bytes(2)
        message = bytes(question) + message
    try:
        answer = read(message, NAME, kind, 7)
    except BadMessage:
        return
    assert len(answer.addresses) <= 256
    assert all(ip_address(address).version == (4 if kind == A else 6) for address in answer.addresses)
    assert not (answer.addresses and (answer.code or answer.is_cut))
