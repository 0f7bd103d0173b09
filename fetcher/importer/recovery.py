"""What a start finds of the process before it: undone, kept or taken up again."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
import structlog

from fetcher.errors import Interrupted
from fetcher.importer.parts import Parts
from fetcher.importer.requests import fingerprint
from fetcher.importer.uploads import SENT
from fetcher.importer.verdicts import verdict_of
from fetcher.index import Kept, Secrets
from fetcher.model import Import, Phase, State

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Found:
    """What is to be taken up.

    Args:
        waiting: Imports without a verdict, oldest first.
        kept: Pulls of theirs, by what makes requests equal.
    """

    waiting: list[tuple[Import, Secrets]]
    kept: dict[str, Kept]


async def recover(parts: Parts) -> Found:
    """Remove what nobody needs, put imports without a verdict back into the queue, find their bytes."""
    waiting = []
    for record in await parts.index.imports.unfinished():
        await _remove_unseen(parts, record)
        if record.method in SENT:
            await _end_interrupted(parts, record)
            continue
        await parts.index.imports.requeue(record.id, datetime.now(UTC))
        waiting.append((record, await parts.index.imports.secrets(record.id)))
        log.info("import.recovered", import_id=record.id, state=record.state.value)
    settings = parts.settings()
    needed = {fingerprint(secrets, record.submission, settings) for record, secrets in waiting}
    kept = await _keep_pulls(parts, needed)
    files = {one.staged for one in kept.values()}
    for path in await parts.store.staged_paths():
        if path.name not in files:
            await parts.store.remove_staged(path)
    return Found(waiting=waiting, kept=kept)


async def _remove_unseen(parts: Parts, record: Import) -> None:
    """Remove a blob that was made durable and not yet visible; its import begins anew."""
    sha256 = record.digests.get("sha256")
    if record.phase is Phase.COMMITTING and sha256 and not await parts.index.images.has_blob(sha256):
        await parts.store.remove(sha256)


async def _end_interrupted(parts: Parts, record: Import) -> None:
    """End what somebody was sending when the process stopped: the sender is gone."""
    now = datetime.now(UTC)
    verdict = verdict_of(Interrupted())
    ended = msgspec.structs.replace(
        record, state=State.FAILED, phase=None, verdict=verdict, updated_at=now, ended_at=now
    )
    await parts.index.imports.end(ended, {"code": verdict.code})
    log.info("import.interrupted", import_id=record.id, method=record.method)


async def _keep_pulls(parts: Parts, needed: Iterable[str]) -> dict[str, Kept]:
    kept: dict[str, Kept] = {}
    for one in await parts.index.pulls.unfinished():
        if one.request in needed and one.request not in kept:
            kept[one.request] = one
        else:
            await parts.index.pulls.drop(one.id)
    return kept
