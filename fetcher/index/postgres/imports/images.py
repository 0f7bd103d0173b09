"""An import's writes to its image: bytes, suggested properties, status, failure."""

from typing import Any

from fetcher.errors import Conflict
from fetcher.index.postgres.bookkeeping.counts import TEXT_BYTES
from fetcher.index.postgres.session import Session
from fetcher.index.rows import to_json, to_text
from fetcher.index.values import FAILED_IMPORT, Contents, Signed
from fetcher.model import Blob, Image, Import, Status, Verdict


async def give_blob(db: Session, image: Image | Contents, blob: Blob) -> None:
    """Make an image active with these bytes.

    Raises:
        Conflict: It does not wait for them any more.
    """
    sql = """UPDATE images SET status = :status, sha256 = :sha256, size = :size, virtual_size = :virtual_size,
                    disk_format = coalesce(:disk_format, disk_format),
                    container_format = coalesce(:container_format, container_format),
                    updated_at = :updated_at, name = coalesce(name, :name)
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
    if await db.execute(sql, arguments) != 1:
        raise Conflict(reason="the image is gone")


async def add_properties(db: Session, image_id: str, properties: dict[str, str]) -> None:
    """Set properties of an image, and count its text anew."""
    sql = """INSERT INTO image_properties (image_id, name, value) VALUES (?, ?, ?)
             ON CONFLICT (image_id, name) DO UPDATE SET value = excluded.value"""
    for name, value in properties.items():
        await db.execute(sql, [image_id, name, value])
    await db.execute(f"UPDATE images SET text_bytes = {TEXT_BYTES} WHERE id = ?", [image_id])  # noqa: S608 - ours


async def suggest(db: Session, record: Import) -> None:
    """Set what a descriptor beside the disk says of its machine, and what the operator's rules say."""
    suggested, rules = record.stages.get("suggested", {}), record.stages.get("injected", {})
    offered = {**suggested.get("properties", {}), **rules.get("default", {})}
    sql = "INSERT INTO image_properties (image_id, name, value) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
    for name, value in offered.items():
        if name not in rules.get("forbid", []):
            await db.execute(sql, [record.image_id, name, value])
    await add_properties(db, record.image_id, rules.get("set", {}))
    sizes = {"id": record.image_id}
    for name in ("min_ram", "min_disk"):
        sizes |= {name: suggested.get(name, 0), f"least_{name}": rules.get(name, 0)}
    sql = """UPDATE images SET
                 min_ram = greatest(CASE min_ram WHEN 0 THEN :min_ram ELSE min_ram END, :least_min_ram),
                 min_disk = greatest(CASE min_disk WHEN 0 THEN :min_disk ELSE min_disk END, :least_min_disk)
             WHERE id = :id"""
    if suggested or rules:
        await db.execute(sql, sizes)


async def take_image(db: Session, record: Import, status: str) -> None:
    """Give a queued image to the one import that brings its bytes.

    Raises:
        Conflict: It does not wait for bytes, or is gone.
    """
    sql = "UPDATE images SET status = ?, updated_at = ? WHERE id = ? AND status = 'queued'"
    if await db.execute(sql, [status, to_text(record.updated_at), record.image_id]) != 1:
        found = await db.select("SELECT status FROM images WHERE id = ?", [record.image_id])
        status = next((row["status"] for row in found), "gone")
        raise Conflict(reason=f"the image is {status}, and only a queued one waits for bytes")
    await show_failure(db, record.image_id, None)


async def show_failure(db: Session, image_id: str, verdict: Verdict | None) -> None:
    """Show in the image itself why its last import came to nothing."""
    await db.execute(
        "DELETE FROM image_properties WHERE image_id = ? AND name = ?", [image_id, FAILED_IMPORT]
    )
    if verdict is not None:
        row = {"image_id": image_id, "name": FAILED_IMPORT, "value": f"{verdict.code}: {verdict.title}"}
        await db.insert("image_properties", row)


async def release_image(db: Session, record: Import) -> None:
    """Take back an image that got no bytes: gone if the import made it, else queued again."""
    if record.owns_image:
        await db.execute("DELETE FROM images WHERE id = ? AND status = 'importing'", [record.image_id])
        return
    sql = """UPDATE images SET status = 'queued', updated_at = ?
             WHERE id = ? AND status IN ('importing', 'saving', 'uploading')"""
    released = await db.execute(sql, [to_text(record.updated_at), record.image_id]) == 1
    if released and record.submission.url:  # The sender of a body has had the answer already.
        await show_failure(db, record.image_id, record.verdict)


async def keep_story(
    db: Session, record: Import, provenance: dict[str, Any], signed: Signed | None = None
) -> None:
    """Keep with an image where its bytes came from, and the statement that was signed of it."""
    story = """INSERT INTO provenance (image_id, import_id, document) VALUES (?, ?, ?)
               ON CONFLICT (image_id) DO UPDATE SET
                   import_id = excluded.import_id, document = excluded.document"""
    await db.execute(story, [record.image_id, record.id, to_json(provenance)])
    if signed is not None:
        sql = "UPDATE attestations SET key_id = ?, envelope = ?, created_at = ? WHERE image_id = ?"
        await db.execute(sql, [signed.key_id, signed.envelope, to_text(record.updated_at), record.image_id])
