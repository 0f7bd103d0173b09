"""Runs a one-pass converter over bytes or a file, as a caller would."""

import subprocess
from collections.abc import Sequence
from mmap import mmap
from pathlib import Path

from fetcher.convert.sink import RawSink
from fetcher.convert.streaming import HEAD_BYTES, PIECE_BYTES, Keep, Staged, Streamable, WriteAt, plan


def qemu_img(*arguments: object) -> None:
    subprocess.run(["qemu-img", *map(str, arguments)], check=True, capture_output=True)


def planned(image: bytes, disk_format: str | None = None) -> Streamable:
    found = plan(image[:HEAD_BYTES], disk_format=disk_format, total_bytes=len(image))
    assert isinstance(found, Streamable), found
    return found


def convert_bytes(image: bytes, *, chunk: int = PIECE_BYTES, keeps: bool = False) -> bytes:
    """Return the raw disk of a small image."""
    found = planned(image)
    disk = mmap(-1, found.virtual_bytes)  # Pages that nobody writes cost nothing, however large a disk is.
    kept = bytearray(len(image))
    converter = found.start((lambda offset, length: bytes(kept[offset : offset + length])) if keeps else None)

    def take(output: WriteAt | Keep) -> None:
        place = kept if isinstance(output, Keep) else disk
        assert len(output.data) <= PIECE_BYTES
        assert output.offset + len(output.data) <= len(place)
        place[output.offset : output.offset + len(output.data)] = output.data

    for at in range(0, len(image), chunk):
        for output in converter.feed(image[at : at + chunk]):
            take(output)
    for output in converter.finish():
        take(output)
    return disk[:]


def convert_path(
    image: Path, target: Path, *, disk_format: str | None = None, chunk: int = PIECE_BYTES, keeps: bool = True
) -> RawSink | Staged:
    """Convert a file and return the sink, which knows what was written."""
    with image.open("rb") as file:
        found = plan(file.read(HEAD_BYTES), disk_format=disk_format, total_bytes=image.stat().st_size)
    if isinstance(found, Staged):
        return found
    sink = RawSink(target, target.with_suffix(".kept"))
    converter = found.start(sink.recall if keeps else None)
    try:
        with image.open("rb") as file:
            while data := file.read(chunk):
                for output in converter.feed(data):
                    sink.take(output)
        for output in converter.finish():
            sink.take(output)
        sink.finish(found.virtual_bytes)
    finally:
        sink.close()
    return sink


def is_same(first: Path, second: Path) -> bool:
    if first.stat().st_size != second.stat().st_size:
        return False
    done = subprocess.run(["cmp", first, second], capture_output=True, check=False)
    return done.returncode == 0


def made(source: Path, target: Path, arguments: Sequence[str]) -> Path:
    qemu_img("convert", "-f", "raw", *arguments, source, target)
    return target
