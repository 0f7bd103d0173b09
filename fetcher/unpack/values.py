"""Values of the unpack room: pieces, limits, the plan of an unpacking, and its evidence."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

MAX_PIECE_BYTES = 1_048_576
"""No piece of output is longer, so that a cap or a cancel takes effect within it."""

NOT_WHOLE = ("cut-short", "damaged")
"""The rules that a file breaks when it was not received as it was made."""

ZERO_BLOCK = memoryview(bytes(MAX_PIECE_BYTES))


@dataclass(frozen=True)
class Zeros:
    """A run of zero bytes that need not be written: a hole of a sparse file.

    Args:
        length: In bytes, from 1 to `MAX_PIECE_BYTES`.
    """

    length: int

    def __len__(self) -> int:
        return self.length


Piece = bytes | memoryview | Zeros


def plain(piece: Piece) -> bytes | memoryview:
    """Return the bytes of a piece, whatever its kind."""
    return ZERO_BLOCK[: piece.length] if isinstance(piece, Zeros) else piece


def zeros(length: int) -> Iterator[Zeros]:
    """Yield a run of zeros of any length in pieces."""
    while length > 0:
        yield Zeros(min(length, MAX_PIECE_BYTES))
        length -= MAX_PIECE_BYTES


def any_bytes(data: bytes | memoryview) -> bool:
    """Return whether a byte is not zero."""
    return bytes(data).count(0) != len(data)


@dataclass(frozen=True, kw_only=True)
class UnpackLimits:
    """The limits of one unpacking.

    Args:
        max_output_bytes: Of what comes out at the end; exactly this many pass.
        max_layer_bytes: Of what any layer in between gives, such as the tar inside a .tar.xz: an
            archive holds more than its disk.
        max_streams: Compressed streams (gzip members, zstd or lz4 frames) one after another; bgzip
            makes one of each 64 KiB.
        max_members: Of an archive.
        max_layers: Formats nested in one another; each at most once.
        max_window_bytes: The memory that one decoder may need, which the file asks for.
        max_side_bytes: Of a file beside the disk whose kind is not known: larger ones may be a disk.
        max_descriptor_bytes: Of an OVF descriptor, which is read as a whole.
        max_manifest_bytes: Of a manifest or of a box's metadata, likewise.
        max_header_bytes: Of the extended headers of one tar member: the map of a sparse file is long.
    """

    max_output_bytes: int = 1 << 40
    max_layer_bytes: int = 1 << 41
    max_streams: int = 1 << 20
    max_members: int = 1024
    max_layers: int = 3
    max_window_bytes: int = 128 << 20
    max_side_bytes: int = 1 << 20
    max_descriptor_bytes: int = 1 << 20
    max_manifest_bytes: int = 64 << 10
    max_header_bytes: int = 2 << 20


@dataclass(kw_only=True)
class Layer:
    """One format on the way from what was received to the disk, with its counts so far.

    Args:
        packing: The key of the format: gzip, xz, zstd, bzip2, lz4, zip, tar, ova or box.
        member: The name of the file that is taken out of an archive.
        bytes_in: Bytes that this layer has read.
        bytes_out: Bytes that it has given to the next layer or as output.
        streams: Compressed streams that have ended.
        padding_bytes: Zeros behind the last of them.
    """

    packing: str
    member: str | None = None
    bytes_in: int = 0
    bytes_out: int = 0
    streams: int = 0
    padding_bytes: int = 0


@dataclass(frozen=True)
class Plan:
    """The way from what was received to the disk, as far as it is known.

    Args:
        layers: From the outermost to the innermost; none: the bytes are taken as they are.
    """

    layers: tuple[Layer, ...] = ()

    def __str__(self) -> str:
        """Print the plan as `gzip > tar > disk.raw`."""
        words: list[str] = []
        for layer in self.layers:
            words.append(layer.packing)
            words += [layer.member] if layer.member else []
        return " > ".join(words) or "as received"


@dataclass(kw_only=True)
class Evidence:
    """The findings of an unpacking beside the disk, for provenance.

    Args:
        skipped: Names of members that were not taken, in their order.
        digests: The digests of members that were compared, or of the disk, as {name: {algorithm: hex}}.
        manifest: How a manifest came out: none, or compared; a mismatch ends the unpacking.
        signature: "present, not verified" where the archive has a certificate.
        properties: Image properties that a descriptor suggests, by their usual names.
        min_ram_mib: The memory that a descriptor asks for, in MiB.
        min_disk_gib: The capacity of the chosen disk, in GiB and rounded up.
        facts: Whatever else a descriptor or a box's metadata says, such as the number of processors.
    """

    skipped: list[str] = field(default_factory=list)
    digests: dict[str, dict[str, str]] = field(default_factory=dict)
    manifest: str = "none"
    signature: str = "none"
    properties: dict[str, str] = field(default_factory=dict)
    min_ram_mib: int | None = None
    min_disk_gib: int | None = None
    facts: dict[str, str | int] = field(default_factory=dict)


class Stage(Protocol):
    """One layer: bytes in any cuts go in, pieces come out.

    Each iterator has to be run to its end before the next call; whoever drops one halfway has
    stopped the unpacking.
    """

    layer: Layer

    def feed(self, data: memoryview) -> Iterator[Piece]:
        """Yield what the next bytes give.

        Raises:
            Failure: The unpacking ends here; what was yielded must not be kept.
        """

    def finish(self) -> Iterator[Piece]:
        """Yield the rest after the last byte, then judge the whole.

        Raises:
            Failure: As `feed`.
        """


def shorten(name: str) -> str:
    """Return a name as messages show it: it comes from the file, and may be long."""
    return name if len(name) <= 100 else name[:97] + "..."
