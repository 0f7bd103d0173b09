"""Making complete and verified bytes durable, then visible."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any

import msgspec
import structlog

from fetcher import crash
from fetcher.aio.retry import retry_while_short, retry_write
from fetcher.aio.shield import shielded
from fetcher.errors import Cancelled, Failure, Shortage, StoreFailed
from fetcher.guards.network.address import TABLE_VERSION
from fetcher.importer import tracing
from fetcher.importer.context import ENGINE, Context
from fetcher.importer.lifecycle import end
from fetcher.importer.receive.complete import Complete
from fetcher.importer.records.running_import import RunningImport
from fetcher.importer.records.verdicts import DELIVERED, OK
from fetcher.importer.stages.inject import injected
from fetcher.importer.stages.provenance import document
from fetcher.importer.stages.stage import Carrier, Settle, Stage, Story
from fetcher.index.protocol import Index
from fetcher.index.values import Contents, Signed
from fetcher.lifecycle import Event, State
from fetcher.model import Blob, FormatVerdict, Image, Import, Phase, address_in, algorithm_of
from fetcher.parsers.disposition import name_of_chain

log = structlog.get_logger()


async def commit(
    context: Context, running_imports: Sequence[RunningImport], body: Complete, settle: Settle
) -> Sequence[Failure | None]:
    """Make complete bytes durable, then let `settle` write the rows that need them.

    The records say first which blob is about to appear, so that a start after
    a crash knows what may lie there without a row.

    Args:
        settle: Tells what became of each import.

    Raises:
        StoreFull: The file system has no room, found out late.
        StoreFailed: The file system or the index refused.
    """
    meant = blob_of(context, body, datetime.now(UTC))
    blob = await retry_while_short(
        partial(_announced, context.index, running_imports, meant, body.received_bytes)
    )
    # Each try holds the blob anew: a lock in a database that was away is anybody's by now.
    return await retry_while_short(partial(_commit_once, context, body, blob, settle))


async def _announced(
    index: Index, running_imports: Sequence[RunningImport], blob: Blob, received_bytes: int
) -> Blob:
    """Announce a blob; return it as the index knows it, by another digest of the same bytes, if it does.

    Two that come at the same moment under different addresses are kept twice: each is whole.
    """
    known = await announce(index, running_imports, blob, received_bytes)
    if not known or blob.address in known:
        return blob
    address = known[0]
    digests = {**blob.digests, algorithm_of(address): address}
    blob = msgspec.structs.replace(blob, address=address, digests=digests)
    await announce(index, running_imports, blob, received_bytes)
    return blob


async def _commit_once(
    context: Context, body: Complete, blob: Blob, settle: Settle
) -> Sequence[Failure | None]:
    async with context.holding(blob.address):
        is_kept = False
        try:
            await _put(context, body, blob)
            ends = await settle(blob)
            for failure in ends:
                if isinstance(failure, Shortage):
                    raise failure
            is_kept = None in ends  # Its row is durable; who deletes the image waits to hold the blob.
        except Shortage:
            is_kept = True  # For the next try.
            raise
        else:
            return ends
        finally:
            if not is_kept:
                with suppress(StoreFailed):  # The next start finds the file; what ended the import counts.
                    await remove_unneeded(context, blob.address)


async def _put(context: Context, body: Complete, blob: Blob) -> None:
    """Have the bytes in their place; what an earlier try has put there may be gone, as nobody held it."""
    if not body.staged.is_moved:
        await retry_while_short(partial(context.store.commit, body.staged, blob.address))
    elif await context.store.size(blob.address) != blob.size:
        raise StoreFailed(reason="commit: the bytes were removed before their row could be written")


def blob_of(context: Context, body: Complete, now: datetime) -> Blob:
    """Return the blob that complete bytes become."""
    return Blob(
        address=address_in(body.digests, context.current.settings.checksum.address),
        size=body.size,
        digests=body.digests,
        virtual_bytes=body.format.virtual_bytes if body.format else None,
        created_at=now,
    )


async def remove_unneeded(context: Context, address: str) -> bool:
    """Remove a blob unless a row needs it; call it inside `holding(address)`. True when its file is gone.

    Raises:
        StoreFailed: The index cannot say for certain, so the file stays.
    """
    return await context.index.maintenance.disown(address) and await context.store.remove(address)


async def announce(
    index: Index, running_imports: Sequence[RunningImport], blob: Blob, received_bytes: int
) -> list[str]:
    """Write down which blob is about to appear; return the addresses that its bytes have already."""
    changes = {
        "phase": Phase.COMMITTING,
        "digests": blob.digests,
        "address": blob.address,
        "received_bytes": received_bytes,
    }
    now = datetime.now(UTC)
    known = await asyncio.gather(
        *(index.imports.announce(running.change(updated_at=now, **changes)) for running in running_imports)
    )
    crash.reach("importer.announced")
    return known[0] if known else []


async def activate_all(
    context: Context, running_imports: Sequence[RunningImport], blob: Blob, story: Story
) -> list[Failure | None]:
    """Make several images active with a blob that is in its place; call it while holding the blob."""
    ends = await asyncio.gather(
        *(_activate(context, running, blob, story) for running in running_imports), return_exceptions=True
    )
    found: list[Failure | None] = []
    for failure in ends:
        if isinstance(failure, BaseException) and not isinstance(failure, Failure):
            raise failure
        found.append(failure)
    return found


async def _activate(context: Context, running: RunningImport, blob: Blob, story: Story) -> Failure | None:
    if running.record.state is State.SUCCEEDED:
        return None  # In an earlier try.
    image_id, verdict = running.record.image_id, running.record.format
    found = None if verdict is not None else await context.index.images.find(image_id, ENGINE)
    rules = injected(story.settings, running.record, blob) if running.record.submission.rules else {}
    changes = {"stages": {**running.record.stages, "injected": rules}} if rules else {}

    async def write(record: Import) -> bool:
        contents = _contents(record, blob, found, called(record, story.source_headers))
        provenance = provenance_of(record, blob, story)
        signed = await _signed(context, image_id, provenance)
        is_written = await context.index.imports.activate(record, blob, contents, provenance, signed)
        if is_written and signed is None:
            context.unsigned.set()
        return is_written

    if not await end(running, Event.SUCCEED, OK, write, **changes):
        return Cancelled()
    record = running.record
    ids = {"import_id": record.id, "image_id": image_id, "request_id": record.request_id}
    log.info("import.succeeded", size=blob.size, address=blob.address, **ids)
    return None


def _contents(record: Import, blob: Blob, found: Image | None, name: str | None) -> Contents:
    """Return what changes of an image; one whose bytes nobody judged is what it says that it is."""
    verdict = record.format
    image = None if found is None else with_bytes(found, blob, None, record.updated_at)
    return Contents(
        id=record.image_id,
        name=name,
        disk_format=None if verdict is None else verdict.disk_format,
        container_format=None if verdict is None else verdict.container_format,
        virtual_size=blob.virtual_bytes if image is None else image.virtual_size,
        updated_at=record.updated_at,
    )


async def _signed(context: Context, image_id: str, provenance: dict[str, Any]) -> Signed | None:
    """Sign a story on its way into the index, where that takes no time; else the attestor does it later."""
    settings = context.current.settings
    if settings.attestation.sign_command or context.engine.is_shared:
        return None
    builder_id = settings.attestation.builder_id or settings.server.public_url
    story = msgspec.to_builtins(provenance)
    try:
        made = await context.worker_pool.run(partial(context.signer.sign, image_id, story, builder_id))
    except Failure as failure:  # No reason to lose an image: the attestor tries again, and says so.
        log.warning("attestation.later", image_id=image_id, detail=str(failure))
        return None
    return None if made is None else Signed(image_id=image_id, key_id=made[0], envelope=made[1])


def provenance_of(record: Import, blob: Blob, story: Story) -> dict[str, Any]:
    """Return the provenance of an image that an import has ended with."""
    provenance = document(record, blob, story.settings, table_version=TABLE_VERSION, limits=story.limits)
    return {**provenance, "source_headers": story.source_headers, **story.more}


async def end_delivered(context: Context, running: RunningImport, body: Complete, story: Story) -> None:
    """End an import whose image is at the target and not here."""

    async def write(record: Import) -> bool:
        provenance = provenance_of(record, blob_of(context, body, record.updated_at), story)
        return await retry_write(partial(context.index.imports.deliver, record, provenance))

    delivery = running.record.delivery
    assert delivery is not None
    there = msgspec.structs.replace(delivery, is_away=True)
    await end(running, Event.SUCCEED, DELIVERED, write, delivery=there)
    ids = {"import_id": running.record.id, "target_image_id": delivery.image_id}
    log.info("import.delivered", size=body.size, digests=body.digests, **ids)


def called(record: Import, source_headers: Mapping[str, str]) -> str | None:
    """Return what the image is called where nobody has said: as its file is at the source."""
    submission = record.submission
    if submission.name is not None or submission.remote is not None or not record.attempts:
        return None
    urls = [record.submission.url, *(hop.url for hop in record.attempts[-1].hops)]
    return name_of_chain(urls, source_headers.get("content-disposition"))


def with_bytes(image: Image, blob: Blob, verdict: FormatVerdict | None, now: datetime) -> Image:
    """Return the image as it is with these bytes; its formats are those that were judged."""
    is_unjudged_disk = verdict is None and (image.disk_format, image.container_format) == ("raw", "bare")
    return msgspec.structs.replace(
        image,
        disk_format=verdict.disk_format if verdict else image.disk_format,
        container_format=verdict.container_format if verdict else image.container_format,
        virtual_size=blob.size if is_unjudged_disk else blob.virtual_bytes,
        updated_at=now,
    )


async def _run(carrier: Carrier, body: Complete) -> None:
    running_imports = list(carrier.followers.values())
    if not running_imports:
        return
    failed: list[tuple[RunningImport, Failure]] = []
    context = carrier.context
    settle = carrier.settle or partial(activate_all, context, running_imports, story=carrier.story())

    async def make_visible() -> None:
        with tracing.span("commit") if context.is_traced else nullcontext():
            ends = await commit(context, running_imports, body, settle)
        for running, failure in zip(running_imports, ends, strict=True):
            if failure is None:
                await carrier.end(running, None)
            else:
                failed.append((running, failure))

    await shielded(make_visible())
    # Not a part of the above: an index that takes no verdict must not keep the service from stopping.
    for running, failure in failed:
        await carrier.end(running, failure)
    lost = {running.record.id for running, _failure in failed}
    kept = (running for running in running_imports if running.record.id not in lost)
    projects = sorted({running.record.project_id for running in kept})
    await carrier.kept(body, running_imports[0].record.address or "", projects)


STAGE = Stage(name="commit", run=_run, needs=("verify",), adds=("injected",))
