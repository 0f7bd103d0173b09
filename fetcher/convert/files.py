"""Converts a file on this machine: in one pass where its bytes allow it, else by `qemu-img` behind walls."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fetcher.convert.qemu_img import convert_staged
from fetcher.convert.sandbox import Walls, probe_walls
from fetcher.convert.sink import RawSink
from fetcher.convert.streaming import HEAD_BYTES, NotStreamable, Staged, Streamable, plan
from fetcher.errors import Cancelled, VirtualSizeExceeded

READ_BYTES = 1_048_576
KEPT_SUFFIX = ".kept"
Way = Literal["one-pass", "qemu-img"]


@dataclass(frozen=True, kw_only=True)
class Job:
    """One conversion.

    Args:
        source: A complete image that the format guard has passed.
        target: The result; must not exist.
        disk_format: What the image is, by the Image API's names.
        target_format: raw or qcow2.
        virtual_bytes: The size of its disk, as the format guard read it.
        walls: Which walls stand; None to find out when they are needed.
        on_progress: Called with the share of the work that is done, from 0 to 1.
    """

    source: Path
    target: Path
    disk_format: str
    target_format: str
    virtual_bytes: int
    walls: Walls | None = None
    on_progress: Callable[[float], None] = lambda _share: None


@dataclass(frozen=True, kw_only=True)
class Converted:
    """The result of a conversion.

    Args:
        way: How it was done.
        why: Why it was not done in one pass; empty where it was.
    """

    way: Way
    why: str = ""


async def convert_file(job: Job) -> Converted:
    """Convert a file; one that fails or is cancelled leaves nothing behind.

    Raises:
        ConversionFailed: qemu-img refused the image, crashed on it, or took too long.
        ConversionUnavailable: It takes qemu-img, and that or every wall is missing.
        FormatUnsafe: The image breaks a rule of its format.
        VirtualSizeExceeded: The disk is larger than the format guard said.
        FileExistsError: There is such a target.
    """
    found = await asyncio.to_thread(_plan, job)
    why = found.reason if isinstance(found, Staged) else ""
    if isinstance(found, Streamable) and job.target_format == "raw":
        try:
            await _in_thread(job, found)
        except NotStreamable as surprise:
            why = surprise.reason
        else:
            return Converted(way="one-pass")
    await convert_staged(
        job.source,
        job.target,
        disk_format=job.disk_format,
        target_format=job.target_format,
        virtual_bytes=job.virtual_bytes,
        walls=job.walls or await probe_walls(),
        on_progress=job.on_progress,
    )
    return Converted(way="qemu-img", why=why or f"the result is {job.target_format}")


def _plan(job: Job) -> Streamable | Staged:
    with job.source.open("rb") as file:
        head = file.read(HEAD_BYTES)
    found = plan(head, disk_format=job.disk_format, total_bytes=job.source.stat().st_size)
    if isinstance(found, Streamable) and found.virtual_bytes > job.virtual_bytes:
        raise VirtualSizeExceeded(max_virtual_bytes=job.virtual_bytes, virtual_bytes=found.virtual_bytes)
    return found


async def _in_thread(job: Job, found: Streamable) -> None:
    """Convert in a thread; when this call is cancelled, the thread stops at its next chunk."""
    is_over = threading.Event()
    work = asyncio.ensure_future(asyncio.to_thread(_one_pass, job, found, is_over))
    try:
        await asyncio.shield(work)
    except asyncio.CancelledError:
        is_over.set()
        await asyncio.wait([work])
        raise


def _one_pass(job: Job, found: Streamable, is_over: threading.Event) -> None:
    total = max(1, job.source.stat().st_size)
    sink = RawSink(job.target, job.target.with_name(job.target.name + KEPT_SUFFIX))
    is_done = False
    try:
        converter = found.start(sink.recall)
        done = 0
        with job.source.open("rb") as file:
            while chunk := file.read(READ_BYTES):
                for output in converter.feed(chunk):
                    sink.take(output)
                done += len(chunk)
                job.on_progress(min(1.0, done / total))
                if is_over.is_set():
                    raise Cancelled
        for output in converter.finish():
            sink.take(output)
        sink.finish(found.virtual_bytes)
        is_done = True
    finally:
        sink.close()
        if not is_done:
            job.target.unlink(missing_ok=True)
