"""Headers of tar, each field at will: those of an appliance that all readers read alike, and others."""

import io
import tarfile
from collections.abc import Callable

from tests.guards.stream.formats.build import MIB, vmdk_stream

BLOCK = 512
USTAR, GNU, OLD = b"ustar\x0000", b"ustar  \0", bytes(8)
NAME = "disk.vmdk"
DISK = vmdk_stream()
LONG = "a-long-name-" * 10 + ".vmdk"
MADE = {
    "comment": "made by a test",
    "mtime": "1.5",
    "SCHILY.xattr.user.x": "y",
    "LIBARCHIVE.creationtime": "1",
}


def fill(content: bytes) -> bytes:
    """Fill the last block of a member."""
    return content + bytes(-len(content) % BLOCK)


def head(
    kind: bytes = b"0",
    name: str | bytes = NAME,
    size: int | bytes = 0,
    *,
    magic: bytes = USTAR,
    prefix: bytes = b"",
    link: bytes = b"",
    is_signed: bool = False,
) -> bytes:
    """Make one header, with its checksum."""
    block = bytearray(BLOCK)
    written = name if isinstance(name, bytes) else name.encode()
    block[: min(len(written), 100)] = written[:100]
    block[100:124] = b"0000644\0" * 3
    block[124:136] = size if isinstance(size, bytes) else b"%011o\0" % size
    block[136:148] = b"00000000000\0"
    block[156:157] = kind
    block[157 : 157 + len(link)] = link
    block[257:265] = magic
    block[345 : 345 + len(prefix)] = prefix
    block[148:156] = b" " * 8
    signs = 256 * sum(byte > 127 for byte in block) if is_signed else 0
    block[148:156] = b"%06o\0 " % (sum(block) - signs)
    return bytes(block)


def member(content: bytes, **fields: object) -> bytes:
    """Make one member whose header says how long it is, unless it shall say otherwise."""
    return head(**{"size": len(content), **fields}) + fill(content)  # type: ignore[arg-type] # handed on as they came


def record(key: str, value: str | bytes) -> bytes:
    """Make one record of an extended header of pax."""
    rest = b" " + key.encode() + b"=" + (value if isinstance(value, bytes) else value.encode()) + b"\n"
    length = len(rest)
    while length != len(rest) + len(str(length)):
        length = len(rest) + len(str(length))
    return str(length).encode() + rest


def pax(records: dict[str, str | bytes] | bytes, kind: bytes = b"x") -> bytes:
    """Make an extended header of pax."""
    written = b"".join(record(*pair) for pair in records.items()) if isinstance(records, dict) else records
    return member(written, kind=kind, name="./PaxHeaders/x")


def long_name(name: str | bytes, kind: bytes = b"L") -> bytes:
    """Make GNU's header of a long name."""
    written = name if isinstance(name, bytes) else name.encode()
    return member(written + b"\0", kind=kind, name="././@LongLink", magic=GNU)


def archive(*parts: bytes, descriptor: bytes, name: str = "a.ovf", end: bytes = bytes(2 * BLOCK)) -> bytes:
    """Make an archive of a descriptor and other members."""
    return member(descriptor, name=name) + b"".join(parts) + end


def holes(keys: dict[str, str | bytes]) -> bytes:
    """Make a disk whose extended header has these keys."""
    return pax(keys) + member(DISK)


def spoil(packed: bytes, at: int, field: bytes) -> bytes:
    """Write another field into a header, and its checksum."""
    block = bytearray(packed[:BLOCK])
    block[at : at + len(field)] = field
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + packed[BLOCK:]


SAID = {"size": str(len(DISK))}
PARTS: dict[str, tuple[bytes, ...]] = {
    "good-extended": (pax(dict(MADE)) + member(DISK),),
    "good-shared": (pax({"comment": "x"}, b"g") + member(DISK),),
    "good-size-twice": (pax(dict(SAID)) + member(DISK),),
    "good-names-twice": (pax({"path": NAME}) + long_name(NAME) + member(DISK, name="disk"),),
    "good-long-target": (long_name("x" * 200, b"K") + member(DISK),),
    "good-old-magic": (member(DISK, magic=OLD),),
    "good-signed-sum": (member(DISK), member(b"x", name="\u00e9", is_signed=True)),
    "good-prefix-hidden": (pax({"path": NAME}) + member(DISK, magic=GNU, prefix=b"00001"),),
    "size-hidden": (pax(dict(SAID)) + member(DISK, size=0),),
    "size-longer": (pax({"size": str(len(DISK) + BLOCK)}) + member(DISK), bytes(BLOCK)),
    "size-shorter": (pax({"size": str(len(DISK) - BLOCK)}) + member(DISK),),
    "size-nonsense-pax": (pax({"size": "-1"}) + member(DISK),),
    "size-blank": (member(DISK, size=b" " * 12),),
    "size-behind-nul": (member(DISK, size=b"\0%010o\0" % len(DISK)),),
    "size-with-nul": (member(DISK, size=b"%07o\0%03o\0" % (len(DISK), 0)),),
    "size-for-all": (pax(dict(SAID), b"g") + member(DISK),),
    "name-for-all": (pax({"path": NAME}, b"g") + member(DISK, name="x"),),
    "name-empty": (pax({"path": ""}) + member(DISK),),
    "name-up": (pax({"path": "../" + NAME}) + member(DISK),),
    "name-nul": (pax({"path": b"disk.vmdk\0x"}) + member(DISK),),
    "name-not-utf8": (pax({"path": b"d\xffsk.vmdk"}) + member(DISK), member(DISK)),
    "name-long-up": (long_name("../" + NAME) + member(DISK),),
    "name-too-long": (member(DISK), long_name("x" * 1_001) + member(b"x")),
    "name-of-another": (member(DISK), pax({"path": NAME}) + member(b"x", name="readme")),
    "name-of-descriptor": (member(DISK), pax({"path": "b.ovf"}) + member(b"x", name="readme")),
    "names-differ": (pax({"path": NAME}) + long_name("x.vmdk") + member(DISK),),
    "names-differ-other-way": (long_name("x.vmdk") + pax({"path": NAME}) + member(DISK),),
    "prefix-gnu": (member(DISK, magic=GNU, prefix=b"folder"),),
    "prefix-old": (member(DISK, magic=OLD, prefix=b"folder"),),
    "mode-nonsense": (member(DISK), spoil(member(b"x", name="readme"), 100, b"rw-r--r-")),
    "owner-nonsense": (member(DISK), spoil(member(b"x", name="readme"), 108, b"root\0\0\0\0")),
    "time-nonsense": (member(DISK), spoil(member(b"x", name="readme"), 136, b"yesterday   ")),
    "device-nonsense": (member(DISK), spoil(member(b"x", name="readme"), 329, b"0x10\0\0\0\0")),
    "extended-mode-nonsense": (spoil(pax({"comment": "x"}), 100, b"rw-r--r-"), member(DISK)),
    "good-mode-zeros": (spoil(member(DISK), 100, bytes(8)),),
    "mode-blank": (spoil(member(DISK), 100, b"        "),),
    "good-time-before-1970": (spoil(member(DISK), 136, b"\xff" * 12),),
    "good-owner-in-binary": (spoil(member(DISK), 108, b"\x80\0\0\0\0\x30\0\0"),),
    "two-shared": (pax({"comment": "x"}, b"g") * 2 + member(DISK),),
    "records-without-key": (pax(b"4 =\n" + record("path", NAME)) + member(DISK),),
    "records-nul-in-key": (pax(record("com\0ment", "x") + record("path", NAME)) + member(DISK),),
    "two-extended": (pax({"path": NAME}) + pax({"comment": "x"}) + member(DISK),),
    "two-long-names": (long_name("x.vmdk") + long_name(NAME) + member(DISK),),
    "holes-0.1": (holes({"GNU.sparse.map": f"0,{len(DISK)}", "GNU.sparse.size": str(len(DISK))}),),
    "holes-1.0": (holes({"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": NAME}),),
    "holes-star": (holes({"SCHILY.realsize": "1048576"}),),
    "holes-sun": (holes({"SUN.holesdata": " 0 1048576"}),),
    "volume": (holes({"GNU.volume.offset": "512"}),),
    "charset": (holes({"hdrcharset": "BINARY"}),),
    "target-of-file": (holes({"linkpath": "/etc/passwd"}),),
    "records-malformed": (pax(b"8 path=x\n") + member(DISK),),
    "records-cut": (pax(record("comment", "x") + b"\0" * 20) + member(DISK),),
    "extended-long": (pax({"comment": "x" * 65_536}) + member(DISK),),
    "shared-long": (pax({"comment": "x" * 40_000}, b"g") * 2 + member(DISK),),
    "long-name-long": (long_name("x" * 4_097) + member(DISK),),
    "extended-solaris": (pax({"path": NAME}, b"X") + member(DISK),),
    "extended-without-member": (member(DISK), pax({"comment": "x"})),
    "shared-without-member": (member(DISK), pax({"comment": "x"}, b"g")),
    "long-name-without-member": (member(DISK), long_name("x")),
    "long-link": (member(DISK), long_name("x" * 200, b"K") + head(b"2", "link", link=b"x" * 100)),
    "label": (head(b"V", "label", b" " * 12), member(DISK)),
    "listed-folder": (member(DISK), member(b"Ydisk.vmdk\0\0", kind=b"D", name="folder")),
}


def tars(ovf: Callable[..., bytes]) -> dict[str, Callable[[], bytes]]:
    """Return appliances whose headers are as in `PARTS`, and more of other kinds.

    Args:
        ovf: Makes a descriptor.
    """

    def made(parts: tuple[bytes, ...]) -> Callable[[], bytes]:
        return lambda: archive(*parts, descriptor=ovf())

    def python(**more: object) -> bytes:
        form = {"format": tarfile.PAX_FORMAT, "pax_headers": {"comment": "x"}} | more
        return _by_python([("a.ovf", ovf(LONG)), (LONG, DISK)], form)

    padded = archive(member(DISK), descriptor=ovf())
    spaced = member(DISK, name="a disk.vmdk"), member(DISK, name="a%20disk.vmdk")
    return {f"ova-{name}": made(parts) for name, parts in PARTS.items()} | {
        "ova-good-python-pax": python,
        "ova-good-python-gnu": lambda: python(format=tarfile.GNU_FORMAT),
        "ova-good-padding": lambda: padded + bytes(MIB),
        "ova-good-one-end-block": lambda: padded[:-BLOCK],
        "ova-good-first-extended": lambda: pax(dict(MADE)) + padded,
        "ova-good-first-long-name": lambda: long_name(LONG + ".ovf") + padded,
        "ova-good-units": lambda: archive(member(DISK), descriptor=ovf(size="1", unit="GigaBytes")),
        "ova-good-reference-encoded": lambda: archive(spaced[0], descriptor=ovf("a%20disk.vmdk")),
        "ova-reference-of-two": lambda: archive(*spaced, descriptor=ovf("a%20disk.vmdk")),
        "ova-reference-encoded-up": lambda: archive(member(DISK), descriptor=ovf("..%2fdisk.vmdk")),
        "ova-capacity-digits": lambda: archive(member(DISK), descriptor=ovf(size="\u0664")),
        "ova-padding-spoilt": lambda: padded + bytes(MIB) + b"x",
        "ova-descriptor-cut": lambda: head(name="a.ovf", size=200_000) + ovf().ljust(72_000),
        "ova-descriptor-cut-at-a-window": lambda: head(name="a.ovf", size=200_000) + ovf().ljust(65_536),
        "ova-member-cut-at-a-window": lambda: archive(
            head(size=200_000) + DISK[:65_536], descriptor=ovf(), end=b""
        ),
        "ova-end-missing": lambda: padded[: -2 * BLOCK],
        "ova-end-cut": lambda: padded[: -BLOCK - 1],
        "ova-second-archive": lambda: padded + padded,
        "ova-good-first-renamed": lambda: (
            pax({"path": "a.ovf"}) + archive(member(DISK), descriptor=ovf(), name="readme")
        ),
    }


def _by_python(members: list[tuple[str, bytes]], form: dict[str, object]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", **form) as made:  # type: ignore[call-overload] # handed on as they came
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(content), 1.5  # type: ignore[assignment] # as of a file, and then in pax's header
            made.addfile(info, io.BytesIO(content))
    return packed.getvalue()
