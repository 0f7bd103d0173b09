"""Bodies that cost the most to read for their size, whatever reads them: a source on a thread of its own."""

import bz2
import gzip
import http.server
import io
import lzma
import tarfile
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import zstandard

from tests.guards.stream.formats.build import mbr
from tests.guards.stream.formats.dear import WORST

MIB = 1_048_576


def zeros(mebibytes: int) -> Iterator[bytes]:
    """A disk of zeros behind a boot record."""
    yield mbr(size=512)
    yield bytes(MIB - 512)
    for _ in range(mebibytes - 1):
        yield bytes(MIB)


def squeezed(compressor: Callable[[], "lzma.LZMACompressor | bz2.BZ2Compressor"], mebibytes: int) -> bytes:
    """Zeros through a compressor of the standard library."""
    packing = compressor()
    return b"".join(packing.compress(piece) for piece in zeros(mebibytes)) + packing.flush()


def zstd_of_zeros(mebibytes: int) -> bytes:
    """What `zstd -3` makes of zeros."""
    packing = zstandard.ZstdCompressor(level=3).compressobj()
    return b"".join(packing.compress(piece) for piece in zeros(mebibytes)) + packing.flush()


def gzip_of_zeros(mebibytes: int) -> bytes:
    """What gzip makes of zeros."""
    packing = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(packing.compress(piece) for piece in zeros(mebibytes)) + packing.flush()


def tar_of_many() -> bytes:
    """A tar of many empty files, and a disk at its end."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for number in range(1000):
            entry = tarfile.TarInfo(f"{number:05}/" + "é" * 60)
            archive.addfile(entry)
    return made.getvalue()


def zip_of_many() -> bytes:
    """A zip of many empty files."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for number in range(20_000):
            archive.writestr(f"{number}", b"")
    return made.getvalue()


PACKED: dict[str, Callable[[], bytes]] = {
    "zstd of 4 GiB of zeros": lambda: zstd_of_zeros(4096),
    "zstd of zeros": lambda: zstd_of_zeros(128),
    "xz of zeros": lambda: squeezed(lambda: lzma.LZMACompressor(preset=0), 128),
    "bzip2 of zeros": lambda: squeezed(bz2.BZ2Compressor, 64),
    "gzip of zeros": lambda: gzip_of_zeros(128),
    "gzip of gzip of gzip": lambda: gzip.compress(gzip.compress(gzip_of_zeros(64))),
    "xz, empty streams": lambda: lzma.compress(b"") * 30_000,
    "xz, padding": lambda: lzma.compress(bytes(512)) + bytes(MIB),
    "bzip2, empty streams": lambda: bz2.compress(b"") * 70_000,
    "gzip, empty members": lambda: gzip.compress(b"") * 50_000,
    "gzip, a name without end": lambda: b"\x1f\x8b\x08\x08" + bytes(6) + b"n" * MIB,
    "zstd, empty frames": lambda: zstandard.compress(b"") * 100_000,
    "tar, many members": tar_of_many,
    "zip, many members": zip_of_many,
    "zip of nothing but ends": lambda: b"PK\3\4" + b"PK\5\6" * 200_000,
}
"""What is packed again and again, or holds next to nothing; as its name says."""

KEPT = ("zstd of 4 GiB of zeros",)
"""What would take too long to unpack."""

BODIES: dict[str, Callable[[], bytes]] = {**WORST, **PACKED}


@contextmanager
def source() -> Iterator[tuple[int, dict[str, bytes]]]:
    """A source whose loop is not the service's: its port, and what it gives by path, to be filled."""
    bodies: dict[str, bytes] = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = bodies[self.path]
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            try:
                self.wfile.write(body)
            except ConnectionError:
                return

        def log_message(self, *_words: object) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    try:
        yield server.server_port, bodies
    finally:
        server.shutdown()
        serving.join()
        server.server_close()
