"""Unpacking ends with the disk or a typed failure, the same however bytes are cut, within its caps."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile

import lz4.frame
from backports import zstd

from fetcher.errors import Failure
from fetcher.unpack import MAX_PIECE_BYTES, Unpacker, UnpackLimits, plain
from fuzz.choices import Choices

INSTRUMENT = ["fetcher.unpack", "fetcher.parsers.archives"]
LIMITS = UnpackLimits(
    max_output_bytes=200_000, max_layer_bytes=400_000, max_streams=64, max_members=32, max_side_bytes=4_096
)
CODECS = (gzip.compress, zstd.compress, lz4.frame.compress, lzma.compress, bz2.compress)
NAMES = (
    *("disk.raw", "disk1.vmdk", "vm.ovf", "vm.mf", "readme.txt", "metadata.json", "x", "in/disk.raw", "../x"),
    *("disk.raw.gz", "a.ova", "._disk.raw", "box.img", "Vagrantfile", "long-" * 40 + ".raw"),
)
OVF = (
    '<Envelope xmlns="e"><References><File href="disk1.vmdk" id="f"/>',
    '<File href="disk.raw.gz" id="g" compression="gzip"/>',
    "</References>",
    '<DiskSection><Disk diskId="d" fileRef="f" capacity="1" capacityAllocationUnits="GB"/>',
    "</DiskSection></Envelope>",
    '<!DOCTYPE x [<!ENTITY e "e">]>',
    "<VirtualSystem><Item><ResourceType>4</ResourceType><VirtualQuantity>9</VirtualQuantity></Item></VirtualSystem>",
)


def check(seed: bytes) -> None:
    """Check the invariant on one input."""
    choices = Choices(seed)
    packed = make(choices)
    asked = choices.pick((None, None, None, "1", "2", "disk1.vmdk"))
    whole = outcome(packed, len(packed) or 1, asked)
    assert outcome(packed, 1 + choices.number(700), asked) == whole
    assert outcome(packed, 1 + choices.number(20), asked) == whole if len(packed) < 8_000 else True


def outcome(packed: bytes, cut: int, asked: str | None) -> object:
    """Unpack, and tell how it ended."""
    unpacker = Unpacker(limits=LIMITS, disk=asked)
    out = bytearray()
    try:
        for at in range(0, len(packed), cut):
            for piece in unpacker.feed(packed[at : at + cut]):
                assert 0 < len(piece) <= MAX_PIECE_BYTES
                out += plain(piece)
                assert len(out) <= LIMITS.max_output_bytes
        for piece in unpacker.finish():
            out += plain(piece)
    except Failure as failure:
        assert "{" not in str(failure)
        return type(failure), failure.fields()
    return bytes(out), str(unpacker.plan), unpacker.evidence


def make(choices: Choices) -> bytes:
    """Make a file of some layers, then damage it here and there."""
    data = content(choices)
    for _ in range(choices.number(4)):
        kind = choices.number(8)
        if kind < 5:
            data = CODECS[kind](data) + (CODECS[kind](b"more") if choices.number(8) == 1 else b"")
        else:
            members = [(choices.pick(NAMES), content(choices)) for _ in range(choices.number(4))]
            members.insert(choices.number(len(members) + 1), (choices.pick(NAMES), data))
            data = make_zip(members, choices) if kind == 7 else make_tar(members, choices)
    damaged = bytearray(data + bytes(choices.pick((0, 0, 4, 600))))
    for _ in range(choices.number(4)):
        at = choices.number(min(65_536, len(damaged) or 1))
        damaged[at : at + 1] = choices.raw(1)
    return bytes(damaged[: len(damaged) - choices.pick((0, 0, 0, 0, 1, 7, 300))] or damaged)


def content(choices: Choices) -> bytes:
    """Make the content of a member."""
    kind = choices.number(5)
    if kind == 0:
        return b"KDMV" + choices.raw(choices.number(600)) + bytes(choices.pick((0, 512, 70_000)))
    if kind == 1:
        return choices.some(OVF, 8).encode("utf-8", "replace")
    if kind == 2:
        return b"SHA1(disk1.vmdk)= " + choices.raw(20).hex().encode() + b"\n"
    if kind == 3:
        return b'{"provider": "libvirt", "format": "qcow2"}'
    return choices.raw(choices.number(60))


def make_tar(members: list[tuple[str, bytes]], choices: Choices) -> bytes:
    """Make a tar in one of three formats."""
    target = io.BytesIO()
    form = choices.pick((tarfile.PAX_FORMAT, tarfile.GNU_FORMAT))
    with tarfile.open(fileobj=target, mode="w", format=form) as archive:
        for name, text in members:
            info = tarfile.TarInfo(name)
            is_odd = choices.number(16) == 1
            info.size = 0 if is_odd else len(text)
            info.type = choices.pick((b"2", b"5", b"x", b"g", b"S")) if is_odd else info.type
            archive.addfile(info, io.BytesIO(text[: info.size]))
    return target.getvalue()


def make_zip(members: list[tuple[str, bytes]], choices: Choices) -> bytes:
    """Make a zip, stored or deflated."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, text in {name: text for name, text in members}.items():  # noqa: C416 - the last of each name
            archive.writestr(name, text, choices.pick((zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED)))
    return target.getvalue()
