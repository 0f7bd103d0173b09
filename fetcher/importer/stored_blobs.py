"""Reading blobs back: whole, missing or corrupt, and written down as that; and digests that come later."""

import asyncio
import errno
import hashlib
from collections.abc import Awaitable, Callable, Collection
from datetime import UTC, datetime
from typing import Literal

import structlog

from fetcher.errors import BytesDamaged, StoreFailed
from fetcher.importer.context import Context
from fetcher.index.values import BlobState
from fetcher.model import algorithm_of
from fetcher.store.protocol import Store

log = structlog.get_logger()

Fault = Literal["missing", "corrupt"]


async def read_blob(
    store: Store,
    blob: BlobState,
    bytes_per_second: int | None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Fault | None:
    """Read a blob and compare it with its address; None when it is whole.

    Args:
        bytes_per_second: The rate to read at; None looks at its size alone.

    Raises:
        StoreFailed: It could not be read, for a reason that says nothing about its bytes.
    """
    if bytes_per_second is None:
        size = await store.size(blob.address)
        return "missing" if size is None else None if size == blob.size else "corrupt"
    found = await digest_blob(store, blob, (), bytes_per_second, sleep)
    return found if isinstance(found, str) else None


async def digest_blob(
    store: Store,
    blob: BlobState,
    algorithms: Collection[str],
    bytes_per_second: float,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> dict[str, str] | Fault:
    """Read a blob once and compute digests of it; what is wrong with it, where it is not whole.

    Args:
        algorithms: Beside that of its address, which is compared.
        bytes_per_second: The rate to read at.

    Raises:
        StoreFailed: It could not be read, for a reason that says nothing about its bytes.
    """
    own = algorithm_of(blob.address)
    hashers = {name: hashlib.new(name, usedforsecurity=False) for name in {own, *algorithms}}

    def update(chunk: bytes) -> None:
        for hasher in hashers.values():
            hasher.update(chunk)

    size, began = 0, asyncio.get_running_loop().time()
    try:
        async for chunk in store.read(blob.address):
            await asyncio.to_thread(update, chunk)
            size += len(chunk)
            ahead = size / bytes_per_second - (asyncio.get_running_loop().time() - began)
            if ahead > 0:
                await sleep(ahead)
    except StoreFailed as failure:
        fault = fault_of(failure)
        if fault is None:
            raise
        return fault
    digests = {name: hasher.hexdigest() for name, hasher in hashers.items()}
    return digests if digests[own] == blob.address and size == blob.size else "corrupt"


def fault_of(failure: StoreFailed) -> Fault | None:
    """Return what a failed read proves about a blob; None where it proves nothing.

    Only EIO means that the disk does not give the bytes back. A shortage of
    descriptors or memory, a lost permission or an unmounted folder passes.
    """
    if isinstance(failure.__cause__, FileNotFoundError):
        return "missing"
    is_lost = isinstance(failure.__cause__, OSError) and failure.__cause__.errno == errno.EIO
    return "corrupt" if is_lost else None


async def add_digests(
    context: Context,
    address: str,
    algorithms: Collection[str],
    bytes_per_second: float,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> dict[str, str]:
    """Have digests of a blob in the index that nobody has computed yet; return all that are known then.

    The bytes are read once, at a rate, and compared with their address meanwhile: damaged ones get no digest.

    Raises:
        BytesDamaged: They are missing or corrupt, which is written down.
        StoreFailed: They could not be read, or are no image's any more.
    """
    known = await context.index.maintenance.digests(address)
    blob = await context.index.maintenance.find(address)
    if known is None or blob is None:
        raise StoreFailed(reason="digest: the bytes are no image's any more")
    missing = set(algorithms) - known.keys()
    if not missing:
        return known
    if blob.fault is not None:
        raise BytesDamaged(fault=blob.fault)
    generation = await context.store.generation(address)
    found = await digest_blob(context.store, blob, missing, bytes_per_second, sleep)
    if isinstance(found, str):
        await mark_blob(context, address, found, generation)
        raise BytesDamaged(fault=found)
    await context.index.maintenance.add_digests(address, found)
    log.info("blob.digested", address=address, algorithms=sorted(missing))
    return {**found, **known}


async def mark_blob(context: Context, address: str, fault: Fault | None, inode: int | None) -> bool:
    """Write down what reading a blob showed; False when it was deleted or replaced meanwhile.

    Args:
        inode: Of the file as it was before it was read.
    """
    async with context.holding(address):
        now = await context.index.maintenance.find(address)
        if now is None or await context.store.generation(address) != inode:
            return False
        is_marked = await context.index.maintenance.mark(address, fault, datetime.now(UTC))
    if is_marked and fault is not None and fault != now.fault:
        log.error("blob.faulty", address=address, fault=fault)
        context.damaged.set()
    return is_marked
