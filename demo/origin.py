"""A source of images on loopback that sends no faster than asked, so that there is something to watch."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import BinaryIO

PIECE_BYTES = 65_536


class _Paced(SimpleHTTPRequestHandler):
    """Serves a folder at a fixed rate, and says nothing about it."""

    protocol_version = "HTTP/1.1"

    def __init__(self, *args: object, bytes_per_second: float, **kwargs: object) -> None:
        self._bytes_per_second = bytes_per_second
        super().__init__(*args, **kwargs)  # type: ignore[arg-type] # passed on as they came

    def copyfile(self, source: BinaryIO, outputfile: BinaryIO) -> None:  # type: ignore[override] # files of bytes
        """Send a file's bytes, each piece not before its time."""
        began, sent = time.monotonic(), 0
        while piece := source.read(PIECE_BYTES):
            outputfile.write(piece)
            sent += len(piece)
            time.sleep(max(0.0, began + sent / self._bytes_per_second - time.monotonic()))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Keep the terminal for the demo."""


class _Quiet(ThreadingHTTPServer):
    """Says nothing when the other side has had enough, which is how a refusal looks from here."""

    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Keep the terminal for the demo."""


@contextmanager
def serving(folder: Path, *, bytes_per_second: float) -> Iterator[int]:
    """Serve a folder on a free port of 127.0.0.1 until the block ends; yields the port."""
    handler = partial(_Paced, directory=str(folder), bytes_per_second=bytes_per_second)
    with _Quiet(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
