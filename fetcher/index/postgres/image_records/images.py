"""Records of images and their blobs."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

import msgspec

from fetcher.errors import Conflict, Forbidden, UnknownImage
from fetcher.index import scope
from fetcher.index.postgres.bookkeeping.audit import note_line
from fetcher.index.postgres.bookkeeping.counts import RETIRE
from fetcher.index.postgres.image_records.listing import statement
from fetcher.index.postgres.session import Connection, Session
from fetcher.index.rights import may_change
from fetcher.index.rows import Row, fitting, image_row, to_image, to_json, to_line, to_text
from fetcher.index.values import LINE_COLUMNS, ImageLine, ImageQuery, Rows
from fetcher.model import Actor, Blob, Image, Status, algorithm_of

SELECT = (
    "SELECT images.*, blobs.md5 AS md5, blobs.sha512 AS sha512, blobs.digests AS digests"
    " FROM images LEFT JOIN blobs USING (sha256)"
)
TAGS = "SELECT * FROM image_tags WHERE image_id = ANY(?) ORDER BY tag"
PROPERTIES = "SELECT * FROM image_properties WHERE image_id = ANY(?) ORDER BY name"
UNFINISHED = frozenset({Status.IMPORTING.value, Status.UPLOADING.value})
NAMES = tuple(column.partition(".")[2] for column in LINE_COLUMNS)
LOCKED = "FOR UPDATE OF images"  # Until the transaction ends: nobody changes it meanwhile.


class ImageRecords:
    """Domain verbs on images; each is one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def find(self, image_id: str, actor: Actor) -> Image:
        return await self._connection.read(_find, image_id, scope.readable_images(actor))

    async def line(self, image_id: str, actor: Actor) -> ImageLine:
        return to_line(await self.find(image_id, actor))

    async def page(self, actor: Actor, query: ImageQuery) -> Rows[Image]:
        return await self._connection.read(_page, actor, query)

    async def lines(self, actor: Actor, query: ImageQuery) -> Rows[ImageLine]:
        return await self._connection.read(_lines, actor, query)

    async def create(self, image: Image) -> None:
        await self._connection.write(_create, image)

    async def edit(self, image_id: str, actor: Actor, change: Callable[[Image], Image]) -> Image:
        return await self._connection.write(_edit, image_id, actor, change)

    async def check_deletable(self, image_id: str, actor: Actor) -> str | None:
        return await self._connection.read(_check_deletable, image_id, actor)

    async def delete(self, image_id: str, actor: Actor) -> str | None:
        return await self._connection.write(_delete, image_id, actor)

    async def has_blob(self, address: str) -> bool:
        return await self._connection.read(_has_blob, address)

    async def blobs(self, *, after: str = "", limit: int = 1000) -> list[str]:
        return await self._connection.read(_blobs, after, limit)


async def insert_image(db: Session, image: Image) -> None:
    """Write a new image with its tags and properties."""
    await db.insert("images", image_row(image))
    await write_tags(db, image.id, image.tags)
    await write_properties(db, image.id, image.properties)


async def write_tags(db: Session, image_id: str, tags: Iterable[str]) -> None:
    """Make an image's tags these."""
    await db.execute("DELETE FROM image_tags WHERE image_id = ?", [image_id])
    for tag in sorted(set(tags)):
        await db.insert("image_tags", {"image_id": image_id, "tag": tag})


async def write_properties(db: Session, image_id: str, properties: dict[str, str]) -> None:
    """Make an image's custom properties these."""
    await db.execute("DELETE FROM image_properties WHERE image_id = ?", [image_id])
    for name, value in properties.items():
        await db.insert("image_properties", {"image_id": image_id, "name": name, "value": value})


async def load_images(db: Session, rows: Sequence[Row]) -> list[Image]:
    """Turn joined rows into images; their tags and properties come in two further queries."""
    tags, properties = await _texts(db, rows)
    images = [to_image(row, tuple(tags[row["id"]]), properties[row["id"]]) for row in rows]
    return [await _with_progress(db, image) for image in images]


async def _texts(
    db: Session, rows: Sequence[Row]
) -> tuple[defaultdict[str, list[str]], defaultdict[str, dict[str, str]]]:
    """Return the tags and the properties of images, by their ids."""
    ids = [row["id"] for row in rows]
    tags: defaultdict[str, list[str]] = defaultdict(list)
    for row in await db.select(TAGS, [ids]):
        tags[row["image_id"]].append(row["tag"])
    properties: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for row in await db.select(PROPERTIES, [ids]):
        properties[row["image_id"]][row["name"]] = row["value"]
    return tags, properties


async def _with_progress(db: Session, image: Image) -> Image:
    """Add what only an image without bytes has: the import that writes it, the size of what is staged."""
    if image.status.value not in UNFINISHED:
        return image
    import_id, staged_bytes = await _progress(db, image.id, image.status)
    return msgspec.structs.replace(image, import_id=import_id, staged_bytes=staged_bytes)


async def _progress(db: Session, image_id: str, status: str) -> tuple[str | None, int | None]:
    if status == Status.IMPORTING.value:
        return await _writer(db, image_id), None
    staged = await db.select("SELECT size FROM image_stages WHERE image_id = ?", [image_id])
    return None, next((row["size"] for row in staged), None)


async def find_row(db: Session, image_id: str, condition: scope.Condition, lock: str = "") -> Row:
    """Return the joined row of one image.

    Raises:
        UnknownImage: There is none that meets the condition.
    """
    where, arguments = condition
    for row in await db.select(
        f"{SELECT} WHERE images.id = :id AND {where} {lock}", {"id": image_id, **arguments}
    ):
        return row
    raise UnknownImage(id=image_id)


async def keep_blob(db: Session, blob: Blob, created_at: str) -> None:
    """Note that these bytes are in the store, whole; equal bytes are noted once, with all their digests."""
    sql = """INSERT INTO blobs (sha256, size, virtual_bytes, md5, sha512, digests, created_at)
             VALUES (:sha256, :size, :virtual_bytes, :md5, :sha512, :digests, :created_at)
             ON CONFLICT (sha256) DO UPDATE
             SET fault = NULL, note = NULL, checked_at = excluded.created_at,
                 md5 = coalesce(blobs.md5, excluded.md5), sha512 = coalesce(blobs.sha512, excluded.sha512),
                 digests = (excluded.digests::jsonb || blobs.digests::jsonb)::text"""
    await lock_blob(db, blob.address)
    row = {
        "sha256": blob.address,
        "size": blob.size,
        "virtual_bytes": blob.virtual_bytes,
        "md5": blob.digests.get("md5"),
        "sha512": blob.digests.get("sha512"),
        "digests": to_json(blob.digests),
        "created_at": created_at,
    }
    await db.execute(sql, row)


async def lock_blob(db: Session, address: str) -> None:
    """Write the row of a blob one after the other, and look at it when nobody writes it."""
    await db.execute("SELECT pg_advisory_xact_lock(hashtextextended(?, 0))", [f"blob {address}"])


async def drop_blob_if_unused(db: Session, address: str | None) -> str | None:
    """Forget a blob that no image and no stage needs; its address is returned when it was forgotten."""
    used = """SELECT 1 FROM images WHERE sha256 = :sha256
              UNION ALL SELECT 1 FROM image_stages WHERE sha256 = :sha256 LIMIT 1"""
    if address is None:
        return None
    await lock_blob(db, address)
    if await db.select(used, {"sha256": address}):
        return None
    await db.execute("DELETE FROM blobs WHERE sha256 = ?", [address])
    return address


async def _find(db: Session, image_id: str, condition: scope.Condition, lock: str = "") -> Image:
    [image] = await load_images(db, [await find_row(db, image_id, condition, lock)])
    return image


async def _page(db: Session, actor: Actor, query: ImageQuery) -> Rows[Image]:
    sql, arguments = await statement(db, query, actor)
    rows = fitting(await db.select(sql, arguments), _image_bytes, query.max_bytes)
    images = Rows(await load_images(db, rows))
    images.has_more = rows.has_more
    return images


async def _lines(db: Session, actor: Actor, query: ImageQuery) -> Rows[ImageLine]:
    sql, arguments = await statement(db, query, actor)
    rows = fitting(await db.select(sql, arguments), _image_bytes, query.max_bytes)
    tags, properties = await _texts(db, rows)
    lines: Rows[ImageLine] = Rows()
    for row in rows:
        line = ImageLine(
            **{name: row[name] for name in NAMES},
            tags=to_json(tags[row["id"]]) or "",
            properties=to_json(properties[row["id"]]) or "",
        )
        if line.status in UNFINISHED:
            line.import_id, line.staged_bytes = await _progress(db, line.id, line.status)
        lines.append(line)
    lines.has_more = rows.has_more
    return lines


def _image_bytes(row: Row) -> int:
    """About how much an image's row is in an answer."""
    return 1024 + int(row["text_bytes"])


async def _create(db: Session, image: Image) -> None:
    taken = "SELECT 1 FROM images WHERE id = :id UNION ALL SELECT 1 FROM retired_images WHERE id = :id"
    if next(iter(await db.select(taken, {"id": image.id})), None):
        raise Conflict(reason=f"the id {image.id} is or was another image's")
    await insert_image(db, image)


async def _edit(db: Session, image_id: str, actor: Actor, change: Callable[[Image], Image]) -> Image:
    before = await _find(db, image_id, scope.readable_images(actor), LOCKED)
    if not may_change(actor, before.project_id):
        raise Forbidden(reason="the image is another project's")
    after = change(before)
    columns = image_row(after)
    changes = ", ".join(f"{name} = :{name}" for name in columns)
    await db.execute(f"UPDATE images SET {changes} WHERE id = :id", columns)  # noqa: S608 - our own columns
    if after.tags != before.tags:
        await write_tags(db, image_id, after.tags)
    if after.properties != before.properties:
        await write_properties(db, image_id, after.properties)
    return await _find(db, image_id, (scope.EVERYTHING, {}))


async def _deletable(db: Session, image_id: str, actor: Actor, lock: str = "") -> Row:
    row = await find_row(db, image_id, scope.readable_images(actor), lock)
    if not may_change(actor, row["project_id"]):
        raise Forbidden(reason="the image is another project's")
    if row["is_protected"]:
        raise Forbidden(reason="the image is protected; set protected to false first")
    return row


async def _writer(db: Session, image_id: str) -> str | None:
    found = await db.select("SELECT id FROM imports WHERE image_id = ? AND ended_at IS NULL", [image_id])
    return next((row["id"] for row in found), None)


async def _check_deletable(db: Session, image_id: str, actor: Actor) -> str | None:
    await _deletable(db, image_id, actor)
    return await _writer(db, image_id)


async def _delete(db: Session, image_id: str, actor: Actor) -> str | None:
    row = await _deletable(db, image_id, actor, LOCKED)
    if await _writer(db, image_id) is not None:
        raise Conflict(reason="an import is writing the image; cancel it first")
    staged = list(await db.select("SELECT sha256 FROM image_stages WHERE image_id = ?", [image_id]))
    await db.execute("DELETE FROM images WHERE id = ?", [image_id])
    if row["sha256"] is not None:
        # Whoever trusts an id must not be given other bytes under it later (OSSN-0075).
        await db.execute(RETIRE, [image_id])
    dropped = await drop_blob_if_unused(db, staged[0]["sha256"] if staged else row["sha256"])
    await _note_deletion(db, row, actor)
    return dropped


async def _note_deletion(db: Session, row: Row, actor: Actor) -> None:
    """Add a line to the audit trail: of whose image, and who deleted it."""
    algorithm = algorithm_of(row["sha256"] or "")
    detail = {"name": row["name"], algorithm: row["sha256"], "size": row["size"], "of": row["project_id"]}
    await note_line(
        db,
        {
            "at": to_text(datetime.now(UTC)),
            "project_id": actor.project_id,
            "user_id": actor.user_id,
            "action": "deleted",
            "image_id": row["id"],
            "detail": to_json(detail),
        },
    )


async def _has_blob(db: Session, address: str) -> bool:
    return bool(await db.select("SELECT 1 FROM blobs WHERE sha256 = ?", [address]))


async def _blobs(db: Session, after: str, limit: int) -> list[str]:
    rows = await db.select(
        "SELECT sha256 FROM blobs WHERE sha256 > ? ORDER BY sha256 LIMIT ?", [after, limit]
    )
    return [row["sha256"] for row in rows]
