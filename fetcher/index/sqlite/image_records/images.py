"""Records of images and their blobs."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

import msgspec
from sqlite_utils.db import Database

from fetcher.errors import Conflict, Forbidden, UnknownImage
from fetcher.index import scope
from fetcher.index.rights import may_change
from fetcher.index.rows import Row, fitting, image_row, to_image, to_json, to_text
from fetcher.index.sqlite.bookkeeping.audit import note_line
from fetcher.index.sqlite.bookkeeping.counts import RETIRE
from fetcher.index.sqlite.connection import Connection
from fetcher.index.sqlite.image_records.listing import statement
from fetcher.index.sqlite.rows import insert, select
from fetcher.index.values import LINE_COLUMNS, ImageLine, ImageQuery, Rows
from fetcher.model import Actor, Blob, Image, Status, algorithm_of

SELECT = (
    "SELECT images.*, blobs.md5 AS md5, blobs.sha512 AS sha512, blobs.digests AS digests"
    " FROM images LEFT JOIN blobs USING (sha256)"
)
TAGS = """SELECT image_id, tag FROM image_tags
          WHERE image_id IN (SELECT value FROM json_each(?)) ORDER BY tag"""
PROPERTIES = """SELECT image_id, name, value FROM image_properties
                WHERE image_id IN (SELECT value FROM json_each(?)) ORDER BY name"""
# Tags and properties come as JSON in the same statement: what writes a list need not look into them.
LINE = f"""{", ".join(LINE_COLUMNS)},
    (SELECT json_group_array(tag) FROM image_tags WHERE image_id = images.id),
    (SELECT json_group_object(name, value) FROM image_properties WHERE image_id = images.id)"""  # noqa: S608 - our own columns
UNFINISHED = frozenset({Status.IMPORTING.value, Status.UPLOADING.value})


class ImageRecords:
    """Domain verbs on images; each is one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def find(self, image_id: str, actor: Actor) -> Image:
        return await self._connection.read(_find, image_id, scope.readable_images(actor))

    async def line(self, image_id: str, actor: Actor) -> ImageLine:
        """Return the same image, as it is shown.

        Raises:
            UnknownImage: There is none, or it is not the actor's to see.
        """
        return await self._connection.read(_line, image_id, scope.readable_images(actor))

    async def page(self, actor: Actor, query: ImageQuery) -> Rows[Image]:
        return await self._connection.read(_page, actor, query)

    async def lines(self, actor: Actor, query: ImageQuery) -> Rows[ImageLine]:
        """Return the same page, as lists show it.

        Raises:
            InvalidRequest: The marker is no image that the actor may read.
        """
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


def insert_image(db: Database, image: Image) -> None:
    """Write a new image with its tags and properties."""
    insert(db, "images", image_row(image))
    _add_tags(db, image.id, image.tags)
    _add_properties(db, image.id, image.properties)


def write_tags(db: Database, image_id: str, tags: Iterable[str]) -> None:
    """Make an image's tags these."""
    db.execute("DELETE FROM image_tags WHERE image_id = ?", [image_id])
    _add_tags(db, image_id, tags)


def _add_tags(db: Database, image_id: str, tags: Iterable[str]) -> None:
    for tag in sorted(set(tags)):
        insert(db, "image_tags", {"image_id": image_id, "tag": tag})


def write_properties(db: Database, image_id: str, properties: dict[str, str]) -> None:
    """Make an image's custom properties these."""
    db.execute("DELETE FROM image_properties WHERE image_id = ?", [image_id])
    _add_properties(db, image_id, properties)


def _add_properties(db: Database, image_id: str, properties: dict[str, str]) -> None:
    for name, value in properties.items():
        insert(db, "image_properties", {"image_id": image_id, "name": name, "value": value})


def load_images(db: Database, rows: Sequence[Row]) -> list[Image]:
    """Turn joined rows into images; their tags and properties come in two further queries."""
    ids = to_json([row["id"] for row in rows])
    tags: defaultdict[str, list[str]] = defaultdict(list)
    for image_id, tag in db.conn.execute(TAGS, [ids]):
        tags[image_id].append(tag)
    properties: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for image_id, name, value in db.conn.execute(PROPERTIES, [ids]):
        properties[image_id][name] = value
    return [
        _with_progress(db, to_image(row, tuple(tags.get(row["id"], ())), properties.get(row["id"], {})))
        if row["status"] in UNFINISHED
        else to_image(row, tuple(tags.get(row["id"], ())), properties.get(row["id"], {}))
        for row in rows
    ]


def _with_progress(db: Database, image: Image) -> Image:
    """Add what only an image without bytes has: the import that writes it, the size of what is staged."""
    import_id, staged_bytes = _progress(db, image.id, image.status)
    return msgspec.structs.replace(image, import_id=import_id, staged_bytes=staged_bytes)


def _progress(db: Database, image_id: str, status: str) -> tuple[str | None, int | None]:
    if status == Status.IMPORTING.value:
        return _writer(db, image_id), None
    staged = select(db, "SELECT size FROM image_stages WHERE image_id = ?", [image_id])
    return None, next((row["size"] for row in staged), None)


def find_row(db: Database, image_id: str, condition: scope.Condition) -> Row:
    """Return the joined row of one image.

    Raises:
        UnknownImage: There is none that meets the condition.
    """
    where, arguments = condition
    for row in select(db, f"{SELECT} WHERE images.id = :id AND {where}", {"id": image_id, **arguments}):
        return row
    raise UnknownImage(id=image_id)


def keep_blob(db: Database, blob: Blob, created_at: str) -> None:
    """Note that these bytes are in the store, whole; equal bytes are noted once, with all their digests."""
    sql = """INSERT INTO blobs (sha256, size, virtual_bytes, md5, sha512, digests, created_at)
             VALUES (:sha256, :size, :virtual_bytes, :md5, :sha512, :digests, :created_at)
             ON CONFLICT (sha256) DO UPDATE
             SET fault = NULL, note = NULL, checked_at = excluded.created_at,
                 md5 = coalesce(blobs.md5, excluded.md5), sha512 = coalesce(blobs.sha512, excluded.sha512),
                 digests = json_patch(excluded.digests, blobs.digests)"""
    row = {
        "sha256": blob.address,
        "size": blob.size,
        "virtual_bytes": blob.virtual_bytes,
        "md5": blob.digests.get("md5"),
        "sha512": blob.digests.get("sha512"),
        "digests": to_json(blob.digests),
        "created_at": created_at,
    }
    db.execute(sql, row)


def drop_blob_if_unused(db: Database, address: str | None) -> str | None:
    """Forget a blob that no image and no stage needs; its address is returned when it was forgotten."""
    used = """SELECT 1 FROM images WHERE sha256 = :sha256
              UNION ALL SELECT 1 FROM image_stages WHERE sha256 = :sha256 LIMIT 1"""
    if address is None or next(iter(select(db, used, {"sha256": address})), None):
        return None
    db.execute("DELETE FROM blobs WHERE sha256 = ?", [address])
    return address


def _find(db: Database, image_id: str, condition: scope.Condition) -> Image:
    return load_images(db, [find_row(db, image_id, condition)])[0]


def _page(db: Database, actor: Actor, query: ImageQuery) -> Rows[Image]:
    sql, arguments = statement(db, query, actor)
    rows = fitting(select(db, sql, arguments), _image_bytes, query.max_bytes)
    images = Rows(load_images(db, rows))
    images.has_more = rows.has_more
    return images


def _image_bytes(row: Row) -> int:
    """About how much an image's row is in an answer."""
    return 1024 + int(row["text_bytes"])


def _lines(db: Database, actor: Actor, query: ImageQuery) -> Rows[ImageLine]:
    sql, arguments = statement(db, query, actor, LINE)
    made = (ImageLine(*row) for row in db.conn.execute(sql, arguments))
    lines = fitting(made, _line_bytes, query.max_bytes)
    for line in lines:
        if line.status in UNFINISHED:
            line.import_id, line.staged_bytes = _progress(db, line.id, line.status)
    return lines


def _line(db: Database, image_id: str, condition: scope.Condition) -> ImageLine:
    where, arguments = condition
    sql = f"SELECT {LINE} FROM images LEFT JOIN blobs USING (sha256) WHERE images.id = :id AND {where}"  # noqa: S608 - ours
    row = db.conn.execute(sql, {"id": image_id, **arguments}).fetchone()
    if row is None:
        raise UnknownImage(id=image_id)
    line = ImageLine(*row)
    if line.status in UNFINISHED:
        line.import_id, line.staged_bytes = _progress(db, line.id, line.status)
    return line


def _line_bytes(line: ImageLine) -> int:
    return 1024 + line.text_bytes


def _create(db: Database, image: Image) -> None:
    taken = "SELECT 1 FROM images WHERE id = :id UNION ALL SELECT 1 FROM retired_images WHERE id = :id"
    if next(iter(select(db, taken, {"id": image.id})), None):
        raise Conflict(reason=f"the id {image.id} is or was another image's")
    insert_image(db, image)


def _edit(db: Database, image_id: str, actor: Actor, change: Callable[[Image], Image]) -> Image:
    before = _find(db, image_id, scope.readable_images(actor))
    if not may_change(actor, before.project_id):
        raise Forbidden(reason="the image is another project's")
    after = change(before)
    columns = image_row(after)
    changes = ", ".join(f"{name} = :{name}" for name in columns)
    db.execute(f"UPDATE images SET {changes} WHERE id = :id", columns)  # noqa: S608 - our own columns
    if after.tags != before.tags:
        write_tags(db, image_id, after.tags)
    if after.properties != before.properties:
        write_properties(db, image_id, after.properties)
    return _find(db, image_id, (scope.EVERYTHING, {}))


def _deletable(db: Database, image_id: str, actor: Actor) -> Row:
    row = find_row(db, image_id, scope.readable_images(actor))
    if not may_change(actor, row["project_id"]):
        raise Forbidden(reason="the image is another project's")
    if row["is_protected"]:
        raise Forbidden(reason="the image is protected; set protected to false first")
    return row


def _writer(db: Database, image_id: str) -> str | None:
    found = select(db, "SELECT id FROM imports WHERE image_id = ? AND ended_at IS NULL", [image_id])
    return next((row["id"] for row in found), None)


def _check_deletable(db: Database, image_id: str, actor: Actor) -> str | None:
    _deletable(db, image_id, actor)
    return _writer(db, image_id)


def _delete(db: Database, image_id: str, actor: Actor) -> str | None:
    row = _deletable(db, image_id, actor)
    if _writer(db, image_id) is not None:
        raise Conflict(reason="an import is writing the image; cancel it first")
    staged = list(select(db, "SELECT sha256 FROM image_stages WHERE image_id = ?", [image_id]))
    db.execute("DELETE FROM images WHERE id = ?", [image_id])
    _note_deletion(db, row, actor)
    if row["sha256"] is not None:
        # Whoever trusts an id must not be given other bytes under it later (OSSN-0075).
        db.execute(RETIRE, [image_id])
    return drop_blob_if_unused(db, staged[0]["sha256"] if staged else row["sha256"])


def _note_deletion(db: Database, row: Row, actor: Actor) -> None:
    """Add a line to the audit trail: of whose image, and who deleted it."""
    algorithm = algorithm_of(row["sha256"] or "")
    detail = {"name": row["name"], algorithm: row["sha256"], "size": row["size"], "of": row["project_id"]}
    note_line(
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


def _has_blob(db: Database, address: str) -> bool:
    return next(select(db, "SELECT 1 FROM blobs WHERE sha256 = ?", [address]), None) is not None


def _blobs(db: Database, after: str, limit: int) -> list[str]:
    rows = select(db, "SELECT sha256 FROM blobs WHERE sha256 > ? ORDER BY sha256 LIMIT ?", [after, limit])
    return [row["sha256"] for row in rows]
