"""Writes of submissions: all that come at the same moment in one transaction, with a verdict for each."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from fetcher.errors import Failure, IdempotencyMismatch
from fetcher.index import scope
from fetcher.index.import_rows import secrets_row
from fetcher.index.postgres.bookkeeping.audit import chained
from fetcher.index.postgres.imports.images import take_image
from fetcher.index.postgres.imports.judging import Turn
from fetcher.index.postgres.imports.reading import one
from fetcher.index.postgres.outgoing.webhook_targets import notice_row
from fetcher.index.postgres.session import Session, insertion
from fetcher.index.rows import image_row, import_row, to_import
from fetcher.index.trail import line_of
from fetcher.index.values import NewImport, Waiting
from fetcher.model import Import

IN_TURN = "SELECT pg_advisory_xact_lock(hashtextextended('submissions', 0))"
LOCK_KEYS = """SELECT pg_advisory_xact_lock(hashtextextended(name, 0))
    FROM (SELECT unnest(?::text[]) AS name ORDER BY 1) AS names"""
MADE_BEFORE = """SELECT kept.* FROM unnest(?::text[], ?::text[]) AS wanted (project_id, key)
    JOIN idempotency_keys AS kept USING (project_id, key)"""
MAX_PAYLOAD_BYTES = 7_500  # A notification holds less than 8000 bytes.

Answer = Import | Failure


async def submit(db: Session, new: NewImport, max_queued: int) -> Import:
    """Write one new import, or find the one that the same key made before.

    Whoever writes an image that is there takes its lock before that of its project's usage; so does this.

    Raises:
        Conflict: The image does not wait for bytes.
        Failure: It is refused.
    """
    await db.execute(IN_TURN)
    answers = await _made_before(db, [new])
    if not answers:
        if not new.record.owns_image:
            await take_image(db, new.record, "importing")
        turn = await Turn.take(db, {new.record.project_id}, max_queued)
        await _write(db, turn, [new], answers)
    answer = answers[new.record.id]
    if isinstance(answer, Failure):
        raise answer
    return answer


async def submit_all(db: Session, turn: Turn, news: Sequence[NewImport]) -> list[Answer]:
    """Write new imports with their images, or find what the same keys made before; judge each by itself.

    Args:
        turn: Taken for their projects in this transaction.
        news: No two with the same key, and none for an image that is there.

    Returns:
        One import for each, in their order, or why it is refused, which leaves nothing of it.
    """
    answers = await _made_before(db, news)
    await _write(db, turn, [new for new in news if new.record.id not in answers], answers)
    return [answers[new.record.id] for new in news]


async def _write(db: Session, turn: Turn, news: Sequence[NewImport], answers: dict[str, Answer]) -> None:
    """Write those that may be, and put down what became of each."""
    written = []
    for new in news:
        refusal = await turn.verdict(new)
        answers[new.record.id] = _as_shown(new) if refusal is None else refusal
        if refusal is None:
            written.append(new)
    if written:
        await db.execute(*_all_rows(written, turn))
    db.is_judged = True


def _as_shown(new: NewImport) -> Import:
    """Return the record as it is written: what has just been put down need not be read back."""
    shown = msgspec.structs.replace(new.record.submission, url=new.shown_url)
    return msgspec.structs.replace(new.record, submission=shown)


def _all_rows(news: Sequence[NewImport], turn: Turn) -> tuple[str, dict[str, Any]]:
    """Return the statement that writes and announces new imports, and its parameters.

    Rows go along as JSON: the statement is the same however many there are, and so is prepared once.
    """
    tables: dict[str, list[dict[str, Any]]] = {"imports": [], "import_secrets": []}
    for new in news:
        record, image = new.record, new.image
        tables["imports"].append(import_row(record, new.shown_url))
        tables["import_secrets"].append(secrets_row(record.id, new.secrets))
        if record.owns_image:
            tables.setdefault("images", []).append(image_row(image))
            tags = [{"image_id": image.id, "tag": tag} for tag in sorted(set(image.tags))]
            named = [
                {"image_id": image.id, "name": name, "value": value}
                for name, value in image.properties.items()
            ]
            tables.setdefault("image_tags", []).extend(tags)
            tables.setdefault("image_properties", []).extend(named)
        if new.webhook is not None:
            tables.setdefault("notices", []).append(notice_row(record, new.webhook))
        if new.key is not None:
            key = {"project_id": record.project_id, "import_id": record.id, **msgspec.structs.asdict(new.key)}
            tables.setdefault("idempotency_keys", []).append(key)
    tables["audit"] = chained((line_of("submitted", _as_shown(new), {}) for new in news), turn.head)
    filled = {table: rows for table, rows in tables.items() if rows}
    parts = [f"new_{table} AS ({insertion(table, list(rows[0]))})" for table, rows in filled.items()]
    notify = "SELECT pg_notify('fetcher', payload) FROM unnest(:payloads::text[]) AS payload"
    rows_of = {table: msgspec.json.encode(rows).decode() for table, rows in filled.items()}
    return f"WITH {', '.join(parts)} {notify}", {**rows_of, "payloads": _payloads(news)}


def _payloads(news: Iterable[NewImport]) -> list[str]:
    """Return the payloads that announce queued imports to other hosts, as few as possible.

    An import too long for a notification is left out: other hosts look it up.
    """
    found: list[str] = []
    waiting: list[Waiting] = []
    size = 0
    for new in news:
        if new.waiting is None:
            continue
        more = len(msgspec.json.encode(new.waiting)) + 1
        if more > MAX_PAYLOAD_BYTES:
            continue
        if waiting and size + more > MAX_PAYLOAD_BYTES:
            found.append(_words(waiting))
            waiting, size = [], 0
        waiting.append(new.waiting)
        size += more
    return [*found, _words(waiting)] if waiting else found


def _words(waiting: list[Waiting]) -> str:
    return f"waiting {msgspec.json.encode(waiting).decode()}"


async def _made_before(db: Session, news: Sequence[NewImport]) -> dict[str, Answer]:
    """Return what keys made before, or that they stand for something else, by the ids of those to be new."""
    wanted = {(new.record.project_id, new.key.key): new for new in news if new.key is not None}
    if not wanted:
        return {}
    await db.execute(LOCK_KEYS, [[f"key {project_id} {key}" for project_id, key in wanted]])
    projects, keys = zip(*wanted, strict=True)
    found: dict[str, Answer] = {}
    for row in await db.select(MADE_BEFORE, [list(projects), list(keys)]):
        new = wanted[row["project_id"], row["key"]]
        if new.key is not None and row["fingerprint"] != new.key.fingerprint:
            found[new.record.id] = IdempotencyMismatch()
        else:
            found[new.record.id] = to_import(await one(db, row["import_id"], (scope.EVERYTHING, {})))
    return found
