"""Rows of an index to values and back: each index keeps the same columns, moments and documents as text."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import Any, TypeVar

import msgspec

from fetcher.index.values import ImageLine, Rows
from fetcher.lifecycle import State, origins_of
from fetcher.model import (
    Attempt,
    Blob,
    Delivery,
    FormatVerdict,
    Image,
    Import,
    Notice,
    Phase,
    Status,
    Submission,
    Verdict,
    algorithm_of,
    text_bytes,
)

Row = Mapping[str, Any]
R = TypeVar("R")


def fitting(rows: Iterable[R], size: Callable[[R], int], max_bytes: int) -> Rows[R]:
    """Take rows until they hold so many bytes; one at least."""
    found: Rows[R] = Rows()
    left = max_bytes
    for row in rows:
        left -= size(row)
        if left < 0 and found:
            found.has_more = True
            break
        found.append(row)
    return found


ROW_BYTES = 2048  # Of an import with its entries in indexes, beside what a source or a submitter makes long.


def import_bytes(row: Row) -> int:
    """About how much an import's row is in an answer."""
    return 1024 + sum(len(row[name] or "") for name in ("submission", "attempts", "digests", "verdict"))


@lru_cache(maxsize=1024)  # One write names the same moment up to seven times, in rows and in the trail.
def to_text(moment: datetime | None) -> str | None:
    """Write a moment so that text order is time order."""
    return None if moment is None else f"{moment.astimezone(UTC).isoformat(timespec='microseconds')[:-6]}Z"


def to_moment(text: str | None) -> datetime | None:
    """Read a moment back."""
    return None if text is None else datetime.fromisoformat(text)


def to_json(value: object) -> str | None:
    """Write a value as JSON text; None stays NULL."""
    return None if value is None else msgspec.json.encode(value).decode()


def import_row(record: Import, shown_url: str) -> dict[str, Any]:
    """Return all columns of an import; `shown_url` is the redacted form that may be kept."""
    submission = msgspec.structs.replace(record.submission, url=shown_url)
    return {
        "id": record.id,
        "image_id": record.image_id,
        "project_id": record.project_id,
        "user_id": record.user_id,
        "method": record.method,
        "claim": record.claim,
        "url": shown_url,
        "owns_image": int(record.owns_image),
        "submission": to_json(submission),
        "notice": to_json(record.notice),
        "request_id": record.request_id,
        "created_at": to_text(record.created_at),
        **progress_columns(record),
    }


def progress_columns(record: Import) -> dict[str, Any]:
    """Return the columns that change while an import runs."""
    columns = _progress_columns(record)
    if record.ended_at is not None:
        text_size = sum(len(columns[name] or "") for name in ("attempts", "digests", "stages", "verdict"))
        # The URL stands in the row twice; what else a submission leaves behind is within the row's share.
        columns["kept_bytes"] = ROW_BYTES + 2 * len(record.submission.url) + text_size
    return columns


def _progress_columns(record: Import) -> dict[str, Any]:
    return {
        "state": record.state.value,
        "phase": record.phase.value if record.phase else None,
        "code": record.verdict.code if record.verdict else None,
        "received_bytes": record.received_bytes,
        "expected_bytes": record.expected_bytes,
        "bytes_per_second": record.bytes_per_second,
        "attempts": to_json(record.attempts),
        "format": to_json(record.format),
        "digests": to_json(record.digests),
        "address": record.address,
        "verified_by": record.verified_by,
        "sums_signature": record.sums_signature,
        "length_verified": None if record.length_verified is None else int(record.length_verified),
        "stages": to_json(record.stages),
        "delivery": to_json(record.delivery),
        "verdict": to_json(record.verdict),
        "started_at": to_text(record.started_at),
        "updated_at": to_text(record.updated_at),
        "ended_at": to_text(record.ended_at),
    }


@cache
def import_update(state: State, columns: tuple[str, ...]) -> str:
    """Return the statement that writes a running import, from any state that may become this one."""
    changes = ", ".join(f"{name} = :{name}" for name in columns)
    origins = ", ".join(f"'{origin}'" for origin in origins_of(state))
    return f"""UPDATE imports SET {changes}
               WHERE id = :id AND claim = :claim AND ended_at IS NULL AND state IN ({origins})"""  # noqa: S608 - our columns and states


def to_import(row: Row) -> Import:
    """Read an import back; its submission's URL is the redacted one."""
    plain = {key: row[key] for key in _IMPORT_PLAIN}
    return Import(
        **plain,
        owns_image=bool(row["owns_image"]),
        length_verified=None if row["length_verified"] is None else bool(row["length_verified"]),
        state=_STATES[row["state"]],
        phase=_PHASES[row["phase"]],
        submission=_SUBMISSION.decode(row["submission"]),
        attempts=_ATTEMPTS.decode(row["attempts"]),
        format=_FORMAT.decode(row["format"] or "null"),
        digests=_DIGESTS.decode(row["digests"]),
        stages=_STAGES.decode(row["stages"]),
        delivery=_DELIVERY.decode(row["delivery"] or "null"),
        verdict=_VERDICT.decode(row["verdict"] or "null"),
        notice=_NOTICE.decode(row["notice"] or "null"),
        **{key: to_moment(row[key]) for key in ("created_at", "started_at", "updated_at", "ended_at")},  # type: ignore[arg-type] # the NOT NULL ones are never None
    )


def to_submission(text: str) -> Submission:
    """Read what an import was asked for; its URL is the redacted one."""
    return _SUBMISSION.decode(text)


def imports_within(rows: Iterable[Row], max_bytes: int) -> Rows[Import]:
    """Read imports back until they hold so many bytes; one at least."""
    some = fitting(rows, import_bytes, max_bytes)
    found = Rows(to_import(row) for row in some)
    found.has_more = some.has_more
    return found


# Made once: of each type that is named in a call, msgspec finds out anew how it is read.
_SUBMISSION = msgspec.json.Decoder(Submission)
_ATTEMPTS = msgspec.json.Decoder(tuple[Attempt, ...])
_FORMAT = msgspec.json.Decoder(FormatVerdict | None)
_DIGESTS = msgspec.json.Decoder(dict[str, str])
_STAGES = msgspec.json.Decoder(dict[str, Any])
_DELIVERY = msgspec.json.Decoder(Delivery | None)
_VERDICT = msgspec.json.Decoder(Verdict | None)
_NOTICE = msgspec.json.Decoder(Notice | None)
_STATES = {state.value: state for state in State}
_PHASES: dict[str | None, Phase | None] = {None: None, **{phase.value: phase for phase in Phase}}
_IMPORT_PLAIN = (
    "id",
    "image_id",
    "project_id",
    "user_id",
    "method",
    "claim",
    "received_bytes",
    "expected_bytes",
    "bytes_per_second",
    "address",
    "verified_by",
    "sums_signature",
    "request_id",
)


def to_blob(row: Row) -> Blob:
    """Read a blob back."""
    return Blob(
        address=row["sha256"],
        size=row["size"],
        digests=msgspec.json.decode(row["digests"], type=dict[str, str]),
        virtual_bytes=row["virtual_bytes"],
        created_at=datetime.fromisoformat(row["created_at"]),
    )


def image_row(image: Image) -> dict[str, Any]:
    """Return the columns of an image's own table."""
    return {
        "id": image.id,
        "project_id": image.project_id,
        "name": image.name,
        "status": image.status.value,
        "visibility": image.visibility,
        "is_protected": int(image.is_protected),
        "is_hidden": int(image.is_hidden),
        "disk_format": image.disk_format,
        "container_format": image.container_format,
        "size": image.size,
        "virtual_size": image.virtual_size,
        "sha256": image.address,
        "min_disk": image.min_disk,
        "min_ram": image.min_ram,
        "created_at": to_text(image.created_at),
        "updated_at": to_text(image.updated_at),
        "text_bytes": text_bytes(image.name, image.tags, image.properties),
    }


def to_image(row: Row, tags: tuple[str, ...], properties: dict[str, str]) -> Image:
    """Read an image back from its row joined with its blob's digests."""
    return Image(
        id=row["id"],
        project_id=row["project_id"],
        name=row["name"],
        status=_STATUSES[row["status"]],
        visibility=row["visibility"],
        is_protected=row["is_protected"] == 1,
        is_hidden=row["is_hidden"] == 1,
        disk_format=row["disk_format"],
        container_format=row["container_format"],
        size=row["size"],
        virtual_size=row["virtual_size"],
        address=row["sha256"],
        md5=row["md5"],
        sha256=_sha256_in(row),
        sha512=row["sha512"],
        min_disk=row["min_disk"],
        min_ram=row["min_ram"],
        tags=tags,
        properties=properties,
        created_at=datetime.fromisoformat(row["created_at"]),
        updated_at=datetime.fromisoformat(row["updated_at"]),
    )


def _sha256_in(row: Row) -> str | None:
    """Return the sha256 of an image's bytes: their address, or one of their other digests."""
    address: str | None = row["sha256"]
    if address is None or algorithm_of(address) == "sha256":
        return address
    return _DIGESTS.decode(row["digests"] or "{}").get("sha256")


def to_line(image: Image) -> ImageLine:
    """Return an image as lists show it."""
    return ImageLine(
        id=image.id,
        project_id=image.project_id,
        name=image.name,
        status=image.status.value,
        visibility=image.visibility,
        is_protected=int(image.is_protected),
        is_hidden=int(image.is_hidden),
        disk_format=image.disk_format,
        container_format=image.container_format,
        size=image.size,
        virtual_size=image.virtual_size,
        min_disk=image.min_disk,
        min_ram=image.min_ram,
        created_at=to_text(image.created_at) or "",
        updated_at=to_text(image.updated_at) or "",
        text_bytes=0,
        md5=image.md5,
        sha512=image.sha512,
        tags=to_json(image.tags) or "",
        properties=to_json(image.properties) or "",
        import_id=image.import_id,
        staged_bytes=image.staged_bytes,
    )


# Asked for by their text here: a call of the enumeration costs more than the rest of an image's row.
_STATUSES = {status.value: status for status in Status}
