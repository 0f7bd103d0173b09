"""QCOW2 versions 2 and 3 to raw: plain, deflate and zstd clusters.

Streams what has its L1 table near its beginning, as everything has that `qemu-img convert` writes.
Subclusters (`extended_l2`) do not stream. Zero clusters, unallocated ones and snapshots are left out.
Source: QEMU, docs/interop/qcow2.txt.
"""

from __future__ import annotations  # array[int] is a type for the checker only

import sys
from array import array
from collections.abc import Iterator
from functools import partial
from struct import Struct

from fetcher.convert.streaming.inflate import Inflate, inflate_deflate, inflate_zstd
from fetcher.convert.streaming.mapped import Mapped, Piece
from fetcher.convert.streaming.values import (
    PIECE_BYTES,
    Converter,
    NotStreamable,
    Output,
    Recall,
    Staged,
    Streamable,
    unsafe,
)

MAGIC = b"QFI\xfb"
HEADER = Struct(">4sIQIIQIIQ")
FEATURES_AT, HEADER_LENGTH_AT, COMPRESSION_AT = 72, 100, 104
DIRTY, CORRUPT, EXTERNAL, COMPRESSION, EXTENDED_L2 = (1 << bit for bit in range(5))
OFFSET = (1 << 56) - (1 << 9)
COMPRESSED, COPIED, ZERO = 1 << 62, 1 << 63, 1
MAX_L1 = 1 << 19  # Entries; with clusters of 64 KiB a disk of 256 TiB.
LOOK_BACK_CLUSTERS = 20
NOWHERE = (1 << 64) - 1


def plan(head: bytes) -> Streamable | Staged:
    """Decide by the header whether a QCOW2 image streams.

    Raises:
        FormatUnsafe: It needs another file or a key, or is no QCOW2 of a known version.
    """
    if len(head) < FEATURES_AT:
        raise unsafe("qcow2", "header", "its header is cut short")
    _, version, backing, _, cluster_bits, size, crypt, l1_entries, l1_offset = HEADER.unpack_from(head)
    features, compression = _features(head, version)
    if backing or crypt:
        raise unsafe("qcow2", "reference", "it is encrypted or needs another file")
    _check_features(features, compression, cluster_bits)
    cluster = 1 << cluster_bits
    needed = -(-size // (cluster * cluster // 8))
    if features & EXTENDED_L2:
        return Staged(reason="its clusters are divided (extended_l2)")
    if needed > l1_entries or not size or l1_offset % cluster or l1_offset < cluster:
        raise unsafe("qcow2", "l1", "its L1 table does not fit its disk, or is not where one may be")
    if l1_offset > max(PIECE_BYTES, LOOK_BACK_CLUSTERS * cluster):
        return Staged(reason="its L1 table comes behind its data, as after `qemu-img resize`")
    if needed > MAX_L1:
        return Staged(reason="its L1 table is too large")
    inflate = inflate_zstd if compression else inflate_deflate

    def start(recall: Recall | None) -> Converter:
        return Qcow2(cluster_bits, size, (l1_offset, needed), inflate=inflate, recall=recall)

    return Streamable(disk_format="qcow2", virtual_bytes=size, start=start)


def _check_features(features: int, compression: int, cluster_bits: int) -> None:
    if features & (EXTERNAL | CORRUPT):
        raise unsafe("qcow2", "reference", "it is marked as corrupt or keeps its data in another file")
    if features & ~(DIRTY | COMPRESSION | EXTENDED_L2) or compression > 1 or not 9 <= cluster_bits <= 21:
        raise unsafe("qcow2", "header", "it needs a feature that is not known")


def _features(head: bytes, version: int) -> tuple[int, int]:
    """Return the incompatible features and the compression type."""
    if version == 2:
        return 0, 0
    if version != 3 or len(head) < COMPRESSION_AT + 8:
        raise unsafe("qcow2", "header", "its version is neither 2 nor 3, or its header is cut short")
    features = int.from_bytes(head[FEATURES_AT : FEATURES_AT + 8], "big")
    header_bytes = int.from_bytes(head[HEADER_LENGTH_AT : HEADER_LENGTH_AT + 4], "big")
    compression = head[COMPRESSION_AT] if header_bytes > COMPRESSION_AT else 0
    if bool(features & COMPRESSION) != bool(compression):
        raise unsafe("qcow2", "header", "its compression type is not known")
    return features, compression


class Qcow2:
    """The converter of one QCOW2 image.

    Args:
        l1: Place and number of entries of the L1 table.
    """

    def __init__(
        self,
        cluster_bits: int,
        virtual_bytes: int,
        l1: tuple[int, int],
        *,
        inflate: Inflate,
        recall: Recall | None,
    ) -> None:
        self.virtual_bytes = virtual_bytes
        self._bits = cluster_bits
        self._cluster = 1 << cluster_bits
        self._inflate = partial(inflate, self._cluster)
        look_back = max(PIECE_BYTES, LOOK_BACK_CLUSTERS * self._cluster)
        self._engine = Mapped("qcow2", virtual_bytes, recall=recall, look_back=look_back)
        place, entries = l1
        self._engine.expect(iter([Piece(place, entries * 8, 0, self._read_l1)]), 1)
        self.feed = self._engine.feed
        self._unread = -1

    def finish(self) -> Iterator[Output]:
        """Take the end of the image."""
        yield from self._engine.finish()
        if self._unread:
            raise NotStreamable("its tables were not all found")

    def _read_l1(self, table: bytes | memoryview) -> tuple[bytes, int]:
        entries = _integers(table)
        for index, entry in enumerate(entries):
            place = entry & OFFSET
            if entry & ~(OFFSET | COPIED) or place % self._cluster:
                raise self._malformed("an entry of its L1 table is not aligned, or has reserved bits set")
            entries[index] = place
        order = array("Q", sorted((i for i, place in enumerate(entries) if place), key=entries.__getitem__))
        self._unread = len(order)
        tables = (Piece(entries[i], self._cluster, 0, partial(self._read_l2, i)) for i in order)
        self._engine.expect(tables, len(order))
        return b"", len(table)

    def _read_l2(self, index: int, table: bytes | memoryview) -> tuple[bytes, int]:
        first = index * (self._cluster // 8)
        entries = _integers(table)
        plain_hosts, plain_guests = array("Q"), array("Q")
        packed, packed_guests = array("Q"), array("Q")
        for guest, entry in enumerate(entries, first):
            if entry & COMPRESSED:
                packed.append(entry)
                packed_guests.append(guest)
            elif entry & OFFSET and not entry & ZERO:
                plain_hosts.append(entry & OFFSET)
                plain_guests.append(guest)
            elif entry & ~(OFFSET | COPIED | ZERO):
                raise self._malformed("an entry of its L2 tables has reserved bits set")
        self._check_plain(entries, plain_hosts)
        self._expect_plain(plain_hosts, plain_guests)
        self._expect_packed(packed, packed_guests)
        self._unread -= 1
        return b"", len(table)

    def _check_plain(self, entries: array[int], hosts: array[int]) -> None:
        """Refuse clusters that are not aligned, and reserved bits in what names a plain cluster."""
        mask = self._cluster - 1
        if any(host & mask for host in hosts):
            raise self._malformed("one of its clusters is not aligned")
        reserved = ~(OFFSET | COPIED | ZERO)
        if any(not entry & COMPRESSED and entry & reserved for entry in set(entries)):
            raise self._malformed("an entry of its L2 tables has reserved bits set")

    def _expect_plain(self, hosts: array[int], guests: array[int]) -> None:
        pieces = _runs(*_by_host(hosts, guests, NOWHERE), self._cluster)
        self._engine.expect(pieces, len(hosts))

    def _expect_packed(self, entries: array[int], guests: array[int]) -> None:
        shift = 62 - (self._bits - 8)
        mask = (1 << shift) - 1
        entries, guests = _by_host(entries, guests, mask)
        self._engine.expect(self._packed_pieces(entries, guests, shift, mask), len(entries))

    def _packed_pieces(
        self, entries: array[int], guests: array[int], shift: int, mask: int
    ) -> Iterator[Piece]:
        for entry, guest in zip(entries, guests, strict=True):
            host = entry & mask
            sectors = ((entry & (COMPRESSED - 1)) >> shift) + 1
            yield Piece(host, sectors * 512 - host % 512, guest << self._bits, self._inflate)

    def _malformed(self, reason: str) -> Exception:
        return unsafe("qcow2", "table", reason)


def _integers(table: bytes | memoryview) -> array[int]:
    numbers = array("Q", bytes(table))
    if sys.byteorder == "little":
        numbers.byteswap()
    return numbers


def _by_host(hosts: array[int], guests: array[int], mask: int) -> tuple[array[int], array[int]]:
    """Sort both by the place in the source."""
    order = sorted(range(len(hosts)), key=lambda index: hosts[index] & mask)
    return array("Q", (hosts[i] for i in order)), array("Q", (guests[i] for i in order))


def _runs(hosts: array[int], guests: array[int], cluster: int) -> Iterator[Piece]:
    """Join clusters that follow each other both in the source and on the disk."""
    at, total = 0, len(hosts)
    while at < total:
        first = at
        at += 1
        while at < total and hosts[at] == hosts[at - 1] + cluster and guests[at] == guests[at - 1] + 1:
            at += 1
        yield Piece(hosts[first], (at - first) * cluster, guests[first] * cluster)
