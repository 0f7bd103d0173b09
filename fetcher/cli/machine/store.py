"""Commands that look after the store on this machine."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from cyclopts import Parameter

from fetcher.api.submit.words import count_words
from fetcher.cli.choices import AsJson, ConfigFile
from fetcher.cli.exits import Exit
from fetcher.cli.screen import Screen
from fetcher.errors import Conflict, StoreFailed
from fetcher.index import Index as LocalIndex
from fetcher.index import open_index
from fetcher.index.protocol import Index
from fetcher.logs import set_up_logs
from fetcher.maintenance.backup import back_up, back_up_index
from fetcher.maintenance.fsck import LOST, Fsck
from fetcher.store import Store as FileStore
from fetcher.store.configured import index_path, store_of
from fetcher.store.protocol import Store

if TYPE_CHECKING:
    from fetcher.service import Service

BUCKET_BACKUP = "Keep versions of the bucket's objects, or replicate it, for as long as backups are kept."
Flag = Annotated[bool, Parameter(negative="")]


def check(*, quick: Flag = False, config: ConfigFile = None, json: AsJson = False) -> Exit:
    """Look whether index and store agree, and read every image's bytes again; a server may run meanwhile.

    Args:
        quick: Compare names and sizes only; read no bytes.
        config: The operator's file, laid over `config.toml` key by key.
        json: Print one JSON document instead of words.
    """
    return asyncio.run(_check(open_service(config), Screen(as_json=json), is_quick=quick))


async def _check(service: "Service", screen: Screen, *, is_quick: bool) -> Exit:
    rate = None if is_quick else service.settings.maintenance.scrub_bytes_per_second
    async with looking(service) as (index, store):
        fsck = Fsck(index, store, service.folder, bytes_per_second=rate)
        found = [finding async for finding in fsck.findings()]
    if screen.as_json:
        screen.json({"blobs": fsck.blobs, "findings": msgspec.to_builtins(found)})
    else:
        screen.table(("WHAT", "NAME"), ((finding.kind, finding.name) for finding in found))
        for finding in found:
            screen.say(f"\n{finding.name}:")
            facts = [("why", finding.why), ("images", ", ".join(finding.images)), ("to do", finding.advice)]
            screen.facts(facts, to_err=True)
        screen.say(f"{count_words(fsck.blobs, 'blob')} checked, {count_words(len(found), 'finding')}.")
    if all(finding.kind == "file-unread" for finding in found):
        return Exit.BUSY if found else Exit.OK
    return Exit.DAMAGED


def repair(*, config: ConfigFile = None, json: AsJson = False) -> Exit:
    """Mark what is missing or corrupt, pull it again from where it came, and count anew; no server may run.

    Args:
        config: The operator's file, laid over `config.toml` key by key.
        json: Print one JSON document instead of words.
    """
    return asyncio.run(_repair(open_service(config), Screen(as_json=json)))


async def _repair(service: "Service", screen: Screen) -> Exit:
    async with service.open_services() as services:
        await services.maintenance.do_chores()
        await services.index.maintenance.recount()
        read = await services.maintenance.scrub(before=datetime.now(UTC))
        repaired = await services.maintenance.repair()
        lost = {
            blob.address: blob.note or "" for blob in await services.index.maintenance.faulty(limit=1_000_000)
        }
    if screen.as_json:
        screen.json({**read, "repaired": repaired, "lost": lost})
    else:
        for address, why in lost.items():
            screen.line(address)
            screen.facts([("why", why), ("to do", LOST)], to_err=True)
        screen.say(f"{sum(read.values())} blobs read, {repaired} pulled again, {len(lost)} lost.")
    if lost:
        return Exit.DAMAGED
    return Exit.BUSY if read["unread"] else Exit.OK


def gc(*, dry_run: Flag = False, config: ConfigFile = None, json: AsJson = False) -> Exit:
    """Remove files that the index knows nothing of; no server may run.

    Args:
        dry_run: Only list them.
        config: The operator's file, laid over `config.toml` key by key.
        json: Print one JSON document instead of words.
    """
    return asyncio.run(_gc(open_service(config), Screen(as_json=json), is_dry=dry_run))


async def _gc(service: "Service", screen: Screen, *, is_dry: bool) -> Exit:
    async with looking(service, is_locked=True) as (index, store):
        fsck = Fsck(index, store, service.folder, bytes_per_second=None, waits=())
        found = [*await fsck.unknown_files(), *await fsck.leftovers()]
        size = sum(one.size for one in found)
        for one in [] if is_dry else found:
            await store.remove_item(one)
    names = [f"{store.place}/{one.name}" for one in found]
    if screen.as_json:
        screen.json({"files": names, "bytes": size, "removed": not is_dry})
    else:
        for name in names:
            screen.line(name)
        screen.say(f"{len(names)} files of {size:,} bytes {'would be removed' if is_dry else 'removed'}.")
    return Exit.OK


def backup(folder: Path, *, config: ConfigFile = None, json: AsJson = False) -> Exit:
    """Copy index and images to a new folder, which is a store itself; a server may run meanwhile.

    Of a store in a bucket it copies the index and the keys: versioning or replication of the
    bucket is what keeps the images.

    Args:
        folder: Made by this; on the store's own file system it takes next to no room.
        config: The operator's file, laid over `config.toml` key by key.
        json: Print one JSON document instead of words.
    """
    service, screen = open_service(config), Screen(as_json=json)
    if service.settings.index.is_shared:
        raise Conflict(
            reason="the records are in PostgreSQL: back them up with pg_dump first, "
            f"then copy {service.folder}/blobs and {service.folder}/keys"
        )
    made = asyncio.run(_backup(service, folder.resolve()))
    if screen.as_json:
        screen.json(made)
    elif made["in_bucket"]:
        screen.say(
            f"Index and keys only: the bytes of {count_words(made['blobs'], 'blob')} stay where they are."
        )
        screen.facts([("bytes", made["in_bucket"]), ("to do", BUCKET_BACKUP)], to_err=True)
        screen.line(made["folder"])
    else:
        screen.say(f"{count_words(made['blobs'], 'blob')}: {made['linked']} linked, {made['copied']} copied.")
        screen.line(made["folder"])
    return Exit.OK


async def _backup(service: "Service", folder: Path) -> dict[str, Any]:
    if service.settings.store.url:
        made = await back_up_index(service.folder, folder, service.settings.store.url)
        return dict(msgspec.to_builtins(made))
    store = FileStore(service.folder, reserve=service.reserve)
    try:
        return dict(msgspec.to_builtins(await back_up(store, folder)))
    finally:
        store.close()


def open_service(config: Path | None) -> "Service":
    """Return the configured service, which says only what goes wrong."""
    from fetcher.service import Service

    service = Service(config, {"log": {"level": "error"}})
    set_up_logs(service.settings)
    return service


@asynccontextmanager
async def looking(service: "Service", *, is_locked: bool = False) -> AsyncIterator[tuple[Index, Store]]:
    """Index and store to be read, without the lock: its holder goes on."""
    rules, path = service.settings.index, index_path(service.folder)
    store = store_of(service.settings, service.folder, service.reserve)
    try:
        if not rules.is_shared and not path.is_file():
            raise StoreFailed(reason=f"there is no store at {service.folder}")
        await asyncio.to_thread(partial(store.open, is_locked=is_locked))
        if rules.is_shared:
            async with open_index(rules, path) as shared:
                yield shared, store
            return
        index = LocalIndex(path)
        try:
            yield index, store
        finally:
            await index.close()
    finally:
        store.close()
