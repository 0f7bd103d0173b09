"""Images that other records belong to."""

from fetcher.errors import UnknownImage
from fetcher.index import scope
from fetcher.index.portable.session import Session
from fetcher.index.rows import Row
from fetcher.model import Actor


async def readable_image(db: Session, image_id: str, actor: Actor, *, lock: str = "") -> Row:
    """Return an image's row.

    Args:
        lock: The dialect's `row_lock`, where nobody may change the image meanwhile.

    Raises:
        UnknownImage: There is none, or the actor does not see it.
    """
    where, arguments = scope.readable_images(actor)
    sql = f"SELECT images.* FROM images WHERE images.id = :id AND {where} {lock}"  # noqa: S608 - our own condition
    for row in await db.select(sql, {"id": image_id, **arguments}):
        return row
    raise UnknownImage(id=image_id)
