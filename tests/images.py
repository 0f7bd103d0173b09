"""Small images written byte by byte, for tests that need some image, not a special one."""

import random
import struct


def raw(size: int, seed: int = 0) -> bytes:
    """Bytes that are no format at all."""
    return random.Random(seed).randbytes(size)


def qcow2(virtual_bytes: int = 1 << 30, *, clusters: int = 0, seed: int = 0) -> bytes:
    """An empty, self-contained qcow2 v3 with 64 KiB clusters, and `clusters` of data after its tables.

    Source: docs/interop/qcow2.txt of QEMU.
    """
    size = 1 << 16
    l1_entries = max(1, -(-virtual_bytes // (size * size // 8)))
    header = struct.pack(
        ">4sIQIIQIIQQIIQQQQII",
        *(b"QFI\xfb", 3, 0, 0, 16, virtual_bytes, 0, l1_entries, 3 * size, size, 1, 0, 0, 0, 0, 0, 4, 104),
    )
    header += bytes(8)  # end of header extensions
    refcount_table = struct.pack(">Q", 2 * size)
    refcount_block = struct.pack(">4H", 1, 1, 1, 1)
    parts = [header, refcount_table, refcount_block, b""]
    return b"".join(part.ljust(size, b"\0") for part in parts) + random.Random(seed).randbytes(
        clusters * size
    )


HTML = b"<!DOCTYPE html><html><head><title>Please log in</title></head><body>hello</body></html>" * 20
