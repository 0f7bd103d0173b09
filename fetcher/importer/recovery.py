"""What a start finds of the process before it: undone, kept or taken up again."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
import structlog

from fetcher.errors import Interrupted
from fetcher.importer.context import Context
from fetcher.importer.methods.upload import SENT
from fetcher.importer.records.requests import fingerprint
from fetcher.importer.records.verdicts import verdict_of
from fetcher.importer.stages.commit import remove_unneeded
from fetcher.index import ResumeState, Secrets
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
    resume_state: dict[str, ResumeState]


async def recover(context: Context) -> Found:
    """Remove what nobody needs, put imports without a verdict back into the queue, find their bytes."""
    waiting = []
    for record in await context.index.imports.unfinished():
        await _remove_unseen(context, record)
        if record.method in SENT:
            await _end_interrupted(context, record)
            continue
        await context.index.imports.requeue(record.id, datetime.now(UTC))
        waiting.append((record, await context.index.imports.secrets(record.id)))
        log.info("import.recovered", import_id=record.id, state=record.state.value)
    settings = context.settings()
    needed = {fingerprint(secrets, record.submission, settings) for record, secrets in waiting}
    resume_state = await _keep_pulls(context, needed)
    files = {one.staged for one in resume_state.values()}
    for path in await context.store.staged_paths():
        if path.name not in files:
            await context.store.remove_staged(path)
    return Found(waiting=waiting, resume_state=resume_state)


async def _remove_unseen(context: Context, record: Import) -> None:
    """Remove a blob that was made durable and not yet visible; its import begins anew."""
    sha256 = record.digests.get("sha256")
    if record.phase is Phase.COMMITTING and sha256:
        await remove_unneeded(context, sha256)


async def _end_interrupted(context: Context, record: Import) -> None:
    """End what somebody was sending when the process stopped: the sender is gone."""
    now = datetime.now(UTC)
    verdict = verdict_of(Interrupted())
    ended = msgspec.structs.replace(
        record, state=State.FAILED, phase=None, verdict=verdict, updated_at=now, ended_at=now
    )
    await context.index.imports.end(ended, {"code": verdict.code})
    log.info("import.interrupted", import_id=record.id, method=record.method)


async def _keep_pulls(context: Context, needed: Iterable[str]) -> dict[str, ResumeState]:
    resume_state: dict[str, ResumeState] = {}
    for one in await context.index.pulls.unfinished():
        if one.request in needed and one.request not in resume_state:
            resume_state[one.request] = one
        else:
            await context.index.pulls.drop(one.id)
    return resume_state
