"""Statements on imports that every index asks alike, and their secrets and truths to rows and back."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from fetcher.errors import InvalidRequest
from fetcher.index.rows import Row
from fetcher.index.scope import Condition
from fetcher.index.values import ATTEMPT_CODE, COLUMNS, Access, Secrets, TaskQuery
from fetcher.model import Actor

# Shown to admins alone; everybody else gets source-unreachable.
HIDDEN_CODES = ("address-forbidden", "connect-failed", "name-unresolved")
TRUE_CODE = "true code"  # Filters that nobody can ask for by these names.
TRUE_ATTEMPT_CODE = "true attempt code"

MADE_BEFORE = "SELECT * FROM idempotency_keys WHERE project_id = ? AND key = ?"
STATE_OF_OURS = "SELECT state FROM imports WHERE id = ? AND claim = ? AND ended_at IS NULL"
PROVENANCE = """SELECT document FROM provenance WHERE import_id = :id
                UNION ALL SELECT document FROM deliveries WHERE import_id = :id"""
FORGET = """DELETE FROM imports WHERE id IN
            (SELECT id FROM imports WHERE ended_at IS NOT NULL AND ended_at < ?
             AND NOT EXISTS (SELECT 1 FROM notices WHERE import_id = imports.id)
             LIMIT ?)"""
COUNTS = "SELECT state, count(*) AS n FROM imports WHERE ended_at IS NULL GROUP BY state"

Statement = tuple[str, dict[str, object]]


def secrets_row(import_id: str, secrets: Secrets) -> dict[str, Any]:
    """Return all columns of an import's secrets."""
    return {
        "import_id": import_id,
        "url": secrets.url,
        "headers": _ENCODER.encode(secrets.headers).decode(),
        "mirrors": _ENCODER.encode(secrets.mirrors).decode(),
        "checksum_url": secrets.checksum_url,
        "checksum_signature_url": secrets.checksum_signature_url,
        "access": _ENCODER.encode(secrets.access).decode(),
        "target_token": secrets.target_token,
    }


def to_secrets(row: Row) -> Secrets:
    """Read secrets back from their row."""
    return to_secrets_of(*(row[name] for name in _SECRETS))


_SECRETS = ("url", "headers", "mirrors", "checksum_url", "checksum_signature_url", "access", "target_token")


def to_secrets_of(  # noqa: PLR0913, PLR0917 - the columns of a row
    url: str,
    headers: str,
    mirrors: str,
    checksum_url: str | None,
    checksum_signature_url: str | None,
    access: str,
    target_token: str | None,
) -> Secrets:
    """Read secrets back from the columns of their row."""
    return Secrets(
        url=url,
        headers=_HEADERS.decode(headers),
        mirrors=_MIRRORS.decode(mirrors),
        checksum_url=checksum_url,
        checksum_signature_url=checksum_signature_url,
        access=_ACCESS.decode(access),
        target_token=target_token,
    )


# Made once: of each type that is named in a call, msgspec finds out anew how it is read.
_ENCODER = msgspec.json.Encoder()
_HEADERS = msgspec.json.Decoder(dict[str, str])
_MIRRORS = msgspec.json.Decoder(tuple[str, ...])
_ACCESS = msgspec.json.Decoder(Access)


def truths_statement(import_ids: list[str]) -> str:
    """Return the statement that asks the audit trail what ended imports."""
    marks = ", ".join("?" * len(import_ids))
    return f"""SELECT import_id, detail FROM audit WHERE import_id IN ({marks})
               AND action IN ('refused', 'failed') ORDER BY id"""  # noqa: S608 - question marks alone


def to_truths(rows: Iterable[Row]) -> dict[str, dict[str, str]]:
    """Read the true codes and messages of ended imports, by their ids."""
    found: dict[str, dict[str, str]] = {}
    for row in rows:
        detail = msgspec.json.decode(row["detail"], type=dict[str, Any])
        if "code" in detail:
            found[row["import_id"]] = {"code": detail["code"], "message": detail.get("message", "")}
    return found


def filters_for(actor: Actor, filters: dict[str, str]) -> dict[str, str]:
    """Add what an admin may filter by, and nobody else: what really ended an import or an attempt."""
    if actor.is_admin and filters.get("code") in HIDDEN_CODES:
        filters = {**filters, "code": "source-unreachable", TRUE_CODE: filters["code"]}
    if actor.is_admin and ATTEMPT_CODE in filters:
        filters = {**filters, TRUE_ATTEMPT_CODE: filters[ATTEMPT_CODE]}
    return filters


def filtered(condition: Condition, filters: dict[str, str], within: Mapping[str, str]) -> Condition:
    """Return a condition with the filters of a list.

    Args:
        within: How this database looks into documents: for `TRUE_CODE`, with its value as `:hidden`, and for
            `ATTEMPT_CODE` and `TRUE_ATTEMPT_CODE`, with theirs as `:attempt_code`.
    """
    where, arguments = condition
    arguments = dict(arguments)
    if TRUE_CODE in filters:
        where += f" AND {within[TRUE_CODE]}"
        arguments["hidden"] = filters[TRUE_CODE]
    for name in COLUMNS:
        if name in filters:
            where += f" AND {name} = :{name}"
            arguments[name] = filters[name]
    if ATTEMPT_CODE in filters:
        where += f" AND {within[TRUE_ATTEMPT_CODE if TRUE_ATTEMPT_CODE in filters else ATTEMPT_CODE]}"
        arguments[ATTEMPT_CODE] = filters[ATTEMPT_CODE]
    return where, arguments


def newest_first(condition: Condition, limit: int, start: Row | None) -> Statement:
    """Return the statement of a page of the newest imports, after the row of one."""
    where, arguments = condition
    arguments = {**arguments, "limit": limit}
    if start is not None:
        where += " AND (created_at, id) < (:created_at, :marker)"
        arguments |= {"created_at": start["created_at"], "marker": start["id"]}
    order = "ORDER BY created_at DESC, id DESC LIMIT :limit"
    return f"SELECT * FROM imports WHERE {where} {order}", arguments  # noqa: S608 - our own conditions


def task_marker(condition: Condition, query: TaskQuery, key: str) -> Statement:
    """Return the statement that finds where a page of tasks begins, as `value`."""
    where, arguments = condition
    sql = f"SELECT {key} AS value FROM imports WHERE id = :marker AND {where}"  # noqa: S608 - our own expressions
    return sql, {**arguments, "marker": query.marker}


def task_start(query: TaskQuery, rows: Iterable[Row]) -> object:
    """Return where a page of tasks begins.

    Raises:
        InvalidRequest: There is no such task.
    """
    for row in rows:
        return row["value"]
    raise InvalidRequest(field="marker", reason=f"there is no task {query.marker} to begin after")


def task_page(condition: Condition, query: TaskQuery, key: str, start: object, term: str = "") -> Statement:
    """Return the statement of a page of tasks.

    Args:
        key: The expression that they are ordered by.
        start: The value of the marker, where there is one.
        term: Before a column by which no index is to be chosen.
    """
    where, wanted = condition
    arguments: dict[str, object] = {**wanted, "limit": query.limit, "image_id": query.image_id}
    conditions = [where, f"{term}imports.method IN ({marks('method', query.methods, arguments)})"]
    if query.states is not None:
        states = tuple(state.value for state in query.states)
        conditions.append(f"{term}imports.state IN ({marks('state', states, arguments)})")
    if query.image_id is not None:
        conditions.append("imports.image_id = :image_id")
    if query.marker is not None:
        arguments |= {"marker": query.marker, "value": start}
        sign = "<" if query.is_descending else ">"
        conditions.append(f"({key}, imports.id) {sign} (:value, :marker)")
    direction = "DESC" if query.is_descending else "ASC"
    sql = f"""SELECT * FROM imports WHERE {" AND ".join(conditions)}
              ORDER BY {key} {direction}, imports.id {direction} LIMIT :limit"""  # noqa: S608 - our own expressions
    return sql, arguments


def one_task(condition: Condition, import_id: str, methods: tuple[str, ...]) -> Statement:
    """Return the statement that finds one import by these methods."""
    where, wanted = condition
    arguments: dict[str, object] = {**wanted, "id": import_id}
    listed = marks("method", methods, arguments)
    return f"SELECT * FROM imports WHERE id = :id AND method IN ({listed}) AND {where}", arguments  # noqa: S608 - ours


def marks(prefix: str, values: tuple[str, ...], arguments: dict[str, object]) -> str:
    """Return the marks of a list's values in a statement, and add those to its arguments."""
    names = [f"{prefix}{number}" for number in range(len(values))]
    arguments.update(zip(names, values, strict=True))
    return ", ".join(f":{name}" for name in names)
