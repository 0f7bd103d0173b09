"""Questions to a name server, and what may be believed of its answers."""

import struct
from ipaddress import IPv4Address, IPv6Address

import msgspec

A, CNAME, AAAA = 1, 5, 28
MAX_LINKS = 16
MAX_RECORDS = 256

_OPT = b"\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00"  # EDNS: datagrams of up to 1232 bytes, no options
_SIZES = {A: 4, AAAA: 16}


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a name server said.

    Args:
        code: 0 is good, 3 says that there is no such name.
        is_cut: It did not fit into a datagram; ask again by TCP.
        addresses: At the end of the chain of aliases that begins at the name asked for.
    """

    code: int
    is_cut: bool
    addresses: tuple[str, ...]


class BadMessage(ValueError):
    """The message is not an answer to our question, or not one at all."""


def ask(name: str, kind: int, number: int) -> bytes:
    """Write a question.

    Args:
        name: Absolute, in A-labels, with or without its last dot.
        kind: A or AAAA.
        number: Chosen at random; the answer must have the same.

    Source: RFC 1035 section 4, RFC 6891.
    """
    labels = b"".join(bytes([len(label)]) + label for label in _labels(name))
    return struct.pack("!6H", number, 0x0100, 1, 0, 0, 1) + labels + struct.pack("!xHH", kind, 1) + _OPT


def read(message: bytes, name: str, kind: int, number: int) -> Answer:
    """Read the answer to a question.

    Raises:
        BadMessage: Wait for another one: this may be somebody's guess.

    Source: RFC 1035 section 4, RFC 5452 section 9.
    """
    try:
        got, flags, questions, answers, _, _ = struct.unpack_from("!6H", message)
        if got != number or not flags & 0x8000 or questions != 1:
            raise BadMessage
        asked, end = _read_name(message, 12)
        if asked != _labels(name) or struct.unpack_from("!HH", message, end) != (kind, 1):
            raise BadMessage
        code, is_cut = flags & 0x000F, bool(flags & 0x0200)
        if code or is_cut:
            return Answer(code=code, is_cut=is_cut, addresses=())
        aliases, found = _read_records(message, end + 4, min(answers, MAX_RECORDS), kind)
    except (struct.error, IndexError) as error:
        raise BadMessage from error
    return Answer(code=0, is_cut=False, addresses=_follow(asked, aliases, found))


def _labels(name: str) -> tuple[bytes, ...]:
    return tuple(name.lower().removesuffix(".").encode("ascii").split(b"."))


Name = tuple[bytes, ...]


def _read_records(
    message: bytes, position: int, count: int, kind: int
) -> tuple[dict[Name, Name], dict[Name, list[str]]]:
    aliases: dict[Name, Name] = {}
    found: dict[Name, list[str]] = {}
    for _ in range(count):
        owner, position = _read_name(message, position)
        record, group, _, size = struct.unpack_from("!HHIH", message, position)
        position += 10
        held = message[position : position + size]
        if group == 1 and record == CNAME:
            aliases[owner] = _read_name(message, position)[0]
        elif group == 1 and record == kind and len(held) == _SIZES[kind]:
            found.setdefault(owner, []).append(str(IPv4Address(held) if kind == A else IPv6Address(held)))
        position += size
    return aliases, found


def _follow(name: Name, aliases: dict[Name, Name], found: dict[Name, list[str]]) -> tuple[str, ...]:
    """Go along the aliases; records of names that the chain does not lead to are not ours."""
    for _ in range(MAX_LINKS):
        if name not in aliases:
            return tuple(found.get(name, ()))
        name = aliases[name]
    return ()


def _read_name(message: bytes, position: int) -> tuple[Name, int]:
    """Read a name; pointers lead backwards only, so that every name ends.

    Source: RFC 1035 section 4.1.4.
    """
    labels: list[bytes] = []
    end = None
    size = 0
    while length := message[position]:
        if length >= 0xC0:
            target = (length & 0x3F) << 8 | message[position + 1]
            end = end or position + 2
            if target >= position:
                raise BadMessage
            position = target
            continue
        label = message[position + 1 : position + 1 + length]
        size += length + 1
        if length > 63 or len(label) < length or size > 254:
            raise BadMessage
        labels.append(label.lower())
        position += length + 1
    return tuple(labels), end or position + 1
