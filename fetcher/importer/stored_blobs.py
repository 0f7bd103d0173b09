"""Reading blobs back: whole, missing or corrupt, and written down as what they are."""

import asyncio
import errno
import hashlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Literal

import structlog

from fetcher.errors import StoreFailed
from fetcher.importer.context import Context
from fetcher.index.values import BlobState
from fetcher.store.protocol import Store

log = structlog.get_logger()

Fault = Literal["missing", "corrupt"]


async def read_blob(
    store: Store,
    blob: BlobState,
    bytes_per_second: int | None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Fault | None:
    """Read a blob and compare it with its name; None when it is whole.

    Args:
        bytes_per_second: The rate to read at; None looks at its size alone.

    Raises:
        StoreFailed: It could not be read, for a reason that says nothing about its bytes.
    """
    if bytes_per_second is None:
        size = await store.size(blob.sha256)
        return "missing" if size is None else None if size == blob.size else "corrupt"
    hasher = hashlib.sha256()
    size, began = 0, asyncio.get_running_loop().time()
    try:
        async for chunk in store.read(blob.sha256):
            await asyncio.to_thread(hasher.update, chunk)
            size += len(chunk)
            ahead = size / bytes_per_second - (asyncio.get_running_loop().time() - began)
            if ahead > 0:
                await sleep(ahead)
    except StoreFailed as failure:
        fault = fault_of(failure)
        if fault is None:
            raise
        return fault
    return None if hasher.hexdigest() == blob.sha256 and size == blob.size else "corrupt"


def fault_of(failure: StoreFailed) -> Fault | None:
    """Return what a failed read proves about a blob; None where it proves nothing.

    Only EIO means that the disk does not give the bytes back. A shortage of
    descriptors or memory, a lost permission or an unmounted folder passes.
    """
    if isinstance(failure.__cause__, FileNotFoundError):
        return "missing"
    is_lost = isinstance(failure.__cause__, OSError) and failure.__cause__.errno == errno.EIO
    return "corrupt" if is_lost else None


async def mark_blob(context: Context, sha256: str, fault: Fault | None, inode: int | None) -> bool:
    """Write down what reading a blob showed; False when it was deleted or replaced meanwhile.

    Args:
        inode: Of the file as it was before it was read.
    """
    async with context.holding(sha256):
        now = await context.index.maintenance.find(sha256)
        if now is None or await context.store.generation(sha256) != inode:
            return False
        is_marked = await context.index.maintenance.mark(sha256, fault, datetime.now(UTC))
    if is_marked and fault is not None and fault != now.fault:
        log.error("blob.faulty", sha256=sha256, fault=fault)
        context.damaged.set()
    return is_marked
