"""`fetcher migrate`: the bytes of images from a folder to a bucket, or back."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
from cyclopts import Parameter

from fetcher.api.submit.words import count_words, size_words
from fetcher.cli.choices import AsJson, ConfigFile
from fetcher.cli.exits import Exit
from fetcher.cli.screen import Screen
from fetcher.cli.store import Flag, open_service
from fetcher.errors import StoreFailed
from fetcher.index import open_index
from fetcher.maintenance.migrate import Migration, Moved
from fetcher.store.configured import bucket_of, index_path
from fetcher.store.filesystem.store import Store as FileStore
from fetcher.store.folder_lock import FolderLock
from fetcher.store.protocol import Store

if TYPE_CHECKING:
    from fetcher.service import Service


def migrate(  # noqa: PLR0913 - all options of the command
    *,
    source: Annotated[str, Parameter(name="--from")],
    target: Annotated[str, Parameter(name="--to")],
    dry_run: Flag = False,
    final: Flag = False,
    config: ConfigFile = None,
    json: AsJson = False,
) -> Exit:
    """Copy the bytes of all images to another store; a server may run until the last step.

    It may be broken off and begun anew: what is at the target is left alone. Nothing is removed.

    Args:
        source: A folder, or s3://bucket/prefix.
        target: A folder, or s3://bucket/prefix.
        dry_run: Only say what would be copied.
        final: No server may run; every image must be at the target in the end.
        config: The operator's file, laid over `config.toml` key by key.
        json: Print one JSON document instead of words.
    """
    if dry_run and final:
        raise ValueError("Give --dry-run or --final, not both.")
    screen = Screen(as_json=json)
    places = (_resolved(source), _resolved(target))
    found = asyncio.run(_migrate(open_service(config), *places, is_dry=dry_run, is_final=final))
    counts, sizes = Counter(one.what for one in found), Counter[str]()
    for one in found:
        sizes[one.what] += one.size
    lost = [one for one in found if one.what in {"damaged", "missing"}]
    if screen.as_json:
        documents = msgspec.to_builtins(lost)
        screen.json({"counts": counts, "bytes": sizes, "lost": documents, "is_final": final})
    else:
        for one in lost:
            screen.line(one.sha256)
            screen.facts([("why", one.what), ("to do", "`fetcher store repair`, then again.")], to_err=True)
        for what in counts:
            screen.say(f"{what}: {count_words(counts[what], 'blob')}, {size_words(sizes[what])}")
    return Exit.DAMAGED if lost else Exit.OK


def _resolved(where: str) -> str:
    return where if where.startswith("s3://") else str(Path(where).resolve())


async def _migrate(
    service: "Service", source: str, target: str, *, is_dry: bool, is_final: bool
) -> list[Moved]:
    async with AsyncExitStack() as stack:
        path = index_path(service.folder)
        if not service.settings.index.is_shared and not path.is_file():
            raise StoreFailed(reason=f"there is no store at {service.folder}")
        if is_final:
            lock = FolderLock(service.folder)
            stack.callback(lock.release)
            lock.take()
        index = await stack.enter_async_context(open_index(service.settings.index, path))
        there = await stack.enter_async_context(_opened(service, source, is_target=False))
        here = await stack.enter_async_context(_opened(service, target, is_target=True))
        return [one async for one in Migration(index, there, here).run(is_dry=is_dry)]


@asynccontextmanager
async def _opened(service: "Service", where: str, *, is_target: bool) -> AsyncIterator[Store]:
    """Open a store by what an operator calls it; one that a server may use is opened without its lock."""
    if where.startswith("s3://"):
        bucket = bucket_of(service.settings, where, service.folder, service.reserve)
        try:
            await asyncio.to_thread(partial(bucket.open, is_locked=False))
            yield bucket
        finally:
            bucket.close()
    else:
        folder = Path(where)
        if not is_target and not await asyncio.to_thread((folder / "blobs").is_dir):
            raise StoreFailed(reason=f"there is no store at {folder}")
        files = FileStore(folder, reserve=service.reserve)
        try:
            await asyncio.to_thread(partial(files.open, is_locked=False, is_made=is_target))
            yield files
        finally:
            files.close()
