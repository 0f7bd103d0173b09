"""Pull a qcow2 over HTTP and write it as a raw disk in one pass (`python -m bench.one_pass URL TARGET`)."""

import http.client
import json
import queue
import resource
import sys
import threading
from pathlib import Path
from urllib.parse import urlsplit

from fetcher.convert.sink import RawSink
from fetcher.convert.streaming import HEAD_BYTES, PIECE_BYTES, Streamable, plan

WAITING = 4  # Chunks between the two threads: reading goes on while the last ones are converted.


def read(url: str, chunks: "queue.Queue[bytes]") -> None:
    """Read the body; an empty chunk is its end."""
    place = urlsplit(url)
    connection = http.client.HTTPConnection(str(place.hostname), place.port)
    connection.request("GET", place.path)
    answer = connection.getresponse()
    while chunk := answer.read(PIECE_BYTES):
        chunks.put(chunk)
    chunks.put(b"")


def main(url: str, target: Path) -> None:
    """Pull and convert; print what it took as JSON."""
    chunks: queue.Queue[bytes] = queue.Queue(WAITING)
    threading.Thread(target=read, args=(url, chunks), daemon=True).start()
    chunk = chunks.get()
    found = plan(chunk[:HEAD_BYTES])
    assert isinstance(found, Streamable), found
    sink = RawSink(target, target.with_suffix(".kept"))
    converter = found.start(sink.recall)
    while chunk:
        for output in converter.feed(chunk):
            sink.take(output)
        chunk = chunks.get()
    for output in converter.finish():
        sink.take(output)
    sink.finish(found.virtual_bytes)
    sink.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"written": sink.written_bytes, "kept": sink.kept_bytes, "peak": peak}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
