"""`fetcher migrate`: bytes from a folder to a bucket, records from SQLite to PostgreSQL, and back."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from cyclopts import Parameter

from fetcher.api.submit.words import count_words, size_words
from fetcher.cli.choices import AsJson, ConfigFile
from fetcher.cli.exits import Exit
from fetcher.cli.machine.moving import MovedRecords, Plan, locked
from fetcher.cli.machine.store import Flag, open_service
from fetcher.cli.screen import Screen
from fetcher.errors import StoreFailed
from fetcher.index import open_index
from fetcher.maintenance.migrate import Migration, Moved
from fetcher.store.configured import bucket_of, index_path
from fetcher.store.filesystem.store import Store as FileStore
from fetcher.store.protocol import Store

if TYPE_CHECKING:
    from fetcher.service import Service


def migrate(  # noqa: PLR0913 - all options of the command
    *,
    source: Annotated[list[str], Parameter(name="--from", consume_multiple=True, negative="")],
    target: Annotated[list[str], Parameter(name="--to", consume_multiple=True, negative="")],
    dry_run: Flag = False,
    final: Flag = False,
    config: ConfigFile = None,
    json: AsJson = False,
) -> Exit:
    """Copy images to another store, records to another database; a server may run until the end.

    Bytes go between a folder and a bucket, records between a folder's SQLite and PostgreSQL. It may be
    broken off and begun anew: bytes that are at the target are left alone, and records are moved with
    --final only, all of them or none. Nothing is removed.

    Args:
        source: A folder, s3://bucket/prefix or postgresql://user@host/database, or one of each kind.
        target: A folder, s3://bucket/prefix or postgresql://user@host/database, or one of each kind.
        dry_run: Only say what would be copied.
        final: No server may run; every image and record must be at the target in the end.
        config: The operator's file, laid over `config.toml` key by key.
        json: Print one JSON document instead of words.
    """
    if dry_run and final:
        raise ValueError("Give --dry-run or --final, not both.")
    screen = Screen(as_json=json)
    service = open_service(config)
    plan = Plan.of([_resolved(where) for where in source], [_resolved(where) for where in target])
    plan.check(service.settings.index)
    with locked(plan.folders(service.folder) if final else []):
        found = asyncio.run(_copied(service, plan, is_dry=dry_run)) if plan.has_bytes else []
        lost = [one for one in found if one.what in {"damaged", "missing"}]
        # Records come last: those of images that are not there would lead nowhere.
        records = plan.move_records(service.settings.index, is_final=final) if not lost else None
    _show(screen, found, lost, records, is_final=final)
    return Exit.DAMAGED if lost or (records and records.faults) else Exit.OK


def _show(
    screen: Screen, found: list[Moved], lost: list[Moved], records: MovedRecords | None, *, is_final: bool
) -> None:
    counts, sizes = Counter(one.what for one in found), Counter[str]()
    for one in found:
        sizes[one.what] += one.size
    if screen.as_json:
        summary: dict[str, Any] = {"counts": counts, "bytes": sizes, "lost": msgspec.to_builtins(lost)}
        more = {"records": msgspec.to_builtins(records)} if records else {}
        screen.json({**summary, **more, "is_final": is_final})
        return
    for one in lost:
        screen.line(one.address)
        screen.facts([("why", one.what), ("to do", "`fetcher store repair`, then again.")], to_err=True)
    for what in counts:
        screen.say(f"{what}: {count_words(counts[what], 'blob')}, {size_words(sizes[what])}")
    if records:
        for fault in records.faults:
            screen.say(f"{fault[:1].upper()}{fault[1:]}.", "red")
        filled = [name for name, rows in records.rows.items() if rows]
        total = count_words(sum(records.rows.values()), "record")
        screen.say(f"{records.what}: {total} in {count_words(len(filled), 'table')}")


def _resolved(where: str) -> str:
    return where if "://" in where else str(Path(where).resolve())


async def _copied(service: "Service", plan: Plan, *, is_dry: bool) -> list[Moved]:
    async with AsyncExitStack() as stack:
        path = index_path(service.folder)
        if not service.settings.index.is_shared and not path.is_file():
            raise StoreFailed(reason=f"there is no store at {service.folder}")
        index = await stack.enter_async_context(open_index(service.settings.index, path))
        there = await stack.enter_async_context(_opened(service, plan.bytes_from, is_target=False))
        here = await stack.enter_async_context(_opened(service, plan.bytes_to, is_target=True))
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
