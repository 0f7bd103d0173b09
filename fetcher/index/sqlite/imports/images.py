"""An import's writes to its image: bytes, suggested properties, status, failure."""

from collections.abc import Sequence
from typing import Any

from sqlite_utils.db import Database

from fetcher.errors import Conflict
from fetcher.index.rows import to_json, to_text
from fetcher.index.sqlite.bookkeeping.counts import TEXT_BYTES
from fetcher.index.sqlite.rows import insert, select
from fetcher.index.values import FAILED_IMPORT, Contents, Signed
from fetcher.model import Blob, Image, Import, Status, Verdict

LENGTH_VERIFIED = "length_verified"


def give_blob(db: Database, image: Image | Contents, blob: Blob) -> None:
    """Make an image active with these bytes.

    Raises:
        Conflict: It does not wait for them any more.
    """
    sql = """UPDATE images SET status = :status, sha256 = :sha256, size = :size, virtual_size = :virtual_size,
                    disk_format = coalesce(:disk_format, disk_format),
                    container_format = coalesce(:container_format, container_format),
                    updated_at = :updated_at, name = coalesce(name, :name),
                    text_bytes = text_bytes + CASE WHEN name IS NULL
                        THEN ifnull(length(CAST(:name AS BLOB)), 0) ELSE 0 END
             WHERE id = :id AND status IN ('importing', 'saving', 'uploading')"""
    arguments = {
        "status": Status.ACTIVE.value,
        "sha256": blob.address,
        "size": blob.size,
        "virtual_size": image.virtual_size,
        "name": image.name,
        "disk_format": image.disk_format,
        "container_format": image.container_format,
        "updated_at": to_text(image.updated_at),
        "id": image.id,
    }
    if db.conn.execute(sql, arguments).rowcount != 1:
        raise Conflict(reason="the image is gone")


def describe(db: Database, record: Import) -> None:
    """Set what an import knows of its image besides the bytes, and count the text of that.

    That is what was copied with it, what a descriptor beside the disk says of its machine, what the
    operator's rules say, and whether the source stated the length of its body.
    """
    copied = record.submission.copied_properties
    suggested, rules = record.stages.get("suggested", {}), record.stages.get("injected", {})
    if not copied and not suggested and not rules and record.length_verified is not False:
        return
    _set_properties(db, record.image_id, copied)
    _suggest(db, record.image_id, suggested, rules)
    if record.length_verified is False:
        _set_properties(db, record.image_id, {LENGTH_VERIFIED: "false"})
    db.execute(f"UPDATE images SET text_bytes = {TEXT_BYTES} WHERE id = ?", [record.image_id])  # noqa: S608 - ours


def _set_properties(db: Database, image_id: str, properties: dict[str, str]) -> None:
    sql = "INSERT OR REPLACE INTO image_properties (image_id, name, value) VALUES (?, ?, ?)"
    for name, value in properties.items():
        db.execute(sql, [image_id, name, value])


def _suggest(db: Database, image_id: str, suggested: dict[str, Any], rules: dict[str, Any]) -> None:
    offered = {**suggested.get("properties", {}), **rules.get("default", {})}
    sql = "INSERT OR IGNORE INTO image_properties (image_id, name, value) VALUES (?, ?, ?)"
    for name, value in offered.items():
        if name not in rules.get("forbid", []):
            db.execute(sql, [image_id, name, value])
    _set_properties(db, image_id, rules.get("set", {}))
    sizes = {"id": image_id}
    for name in ("min_ram", "min_disk"):
        sizes |= {name: suggested.get(name, 0), f"least_{name}": rules.get(name, 0)}
    sql = """UPDATE images SET
                 min_ram = max(CASE min_ram WHEN 0 THEN :min_ram ELSE min_ram END, :least_min_ram),
                 min_disk = max(CASE min_disk WHEN 0 THEN :min_disk ELSE min_disk END, :least_min_disk)
             WHERE id = :id"""
    if suggested or rules:
        db.execute(sql, sizes)


def take_image(db: Database, record: Import, status: str) -> None:
    """Give a queued image to the one import that brings its bytes.

    Raises:
        Conflict: It does not wait for bytes, or is gone.
    """
    sql = "UPDATE images SET status = ?, updated_at = ? WHERE id = ? AND status = 'queued'"
    if db.execute(sql, [status, to_text(record.updated_at), record.image_id]).rowcount != 1:
        found = select(db, "SELECT status FROM images WHERE id = ?", [record.image_id])
        status = next((row["status"] for row in found), "gone")
        raise Conflict(reason=f"the image is {status}, and only a queued one waits for bytes")
    show_failure(db, record.image_id, None)


def show_failure(db: Database, image_id: str, verdict: Verdict | None) -> None:
    """Show in the image itself why its last import came to nothing."""
    db.execute("DELETE FROM image_properties WHERE image_id = ? AND name = ?", [image_id, FAILED_IMPORT])
    if verdict is not None:
        row = {"image_id": image_id, "name": FAILED_IMPORT, "value": f"{verdict.code}: {verdict.title}"}
        insert(db, "image_properties", row)


def release_images(db: Database, records: Sequence[Import]) -> None:
    """Take back the images of imports that got no bytes, however many there are."""
    # One statement: within a savepoint each costs seven times as much.
    sql = "DELETE FROM images WHERE status = 'importing' AND id IN (SELECT value FROM json_each(?))"
    db.execute(sql, [to_json([record.image_id for record in records if record.owns_image])])
    for record in records:
        if not record.owns_image:
            release_image(db, record)


def release_image(db: Database, record: Import) -> None:
    """Take back an image that got no bytes: gone if the import made it, else queued again."""
    if record.owns_image:
        db.execute("DELETE FROM images WHERE id = ? AND status = 'importing'", [record.image_id])
        return
    sql = """UPDATE images SET status = 'queued', updated_at = ?
             WHERE id = ? AND status IN ('importing', 'saving', 'uploading')"""
    released = db.execute(sql, [to_text(record.updated_at), record.image_id]).rowcount == 1
    if released and record.submission.url:  # The sender of a body has had the answer already.
        show_failure(db, record.image_id, record.verdict)


def keep_story(
    db: Database, record: Import, provenance: dict[str, Any], signed: Signed | None = None
) -> None:
    """Keep with an image where its bytes came from, and the statement that was signed of it."""
    story = "INSERT OR REPLACE INTO provenance (image_id, import_id, document) VALUES (?, ?, ?)"
    db.conn.execute(story, [record.image_id, record.id, to_json(provenance)])
    if signed is not None:
        sql = "UPDATE attestations SET key_id = ?, envelope = ?, created_at = ? WHERE image_id = ?"
        db.conn.execute(sql, [signed.key_id, signed.envelope, to_text(record.updated_at), record.image_id])
