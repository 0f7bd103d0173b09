"""Records of the projects that an image is shared with."""

import msgspec

from fetcher.errors import Conflict, Forbidden, QuotaExceeded, UnknownMember
from fetcher.index.portable.images import readable_image
from fetcher.index.portable.session import Connection, Session
from fetcher.index.rights import may_change
from fetcher.index.rows import Row, to_text
from fetcher.model import Actor, Member


class MemberRecords:
    """Domain verbs on members; each is one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def all(self, image_id: str, actor: Actor) -> list[Member]:
        return await self._connection.read(_all, image_id, actor)

    async def find(self, image_id: str, member_id: str, actor: Actor) -> Member:
        return await self._connection.read(_find, image_id, member_id, actor)

    async def add(self, member: Member, actor: Actor, *, max_members: int) -> Member:
        return await self._connection.write(_add, member, actor, max_members)

    async def answer(self, member: Member, actor: Actor) -> Member:
        return await self._connection.write(_answer, member, actor)

    async def remove(self, image_id: str, member_id: str, actor: Actor) -> None:
        await self._connection.write(_remove, image_id, member_id, actor)


async def _all(db: Session, image_id: str, actor: Actor) -> list[Member]:
    image = await readable_image(db, image_id, actor)
    where, arguments = "", {"image_id": image_id}
    if not may_change(actor, image["project_id"]):
        where, arguments = " AND member_id = :member_id", {**arguments, "member_id": actor.project_id}
    rows = await db.select(f"SELECT * FROM image_members WHERE image_id = :image_id{where}", arguments)  # noqa: S608 - ours
    return [_to_member(row) for row in rows]


async def _find(db: Session, image_id: str, member_id: str, actor: Actor) -> Member:
    image = await readable_image(db, image_id, actor)
    if not may_change(actor, image["project_id"]) and actor.project_id != member_id:
        raise UnknownMember(id=member_id)
    return await _one(db, image_id, member_id)


async def _one(db: Session, image_id: str, member_id: str) -> Member:
    sql = "SELECT * FROM image_members WHERE image_id = ? AND member_id = ?"
    for row in await db.select(sql, [image_id, member_id]):
        return _to_member(row)
    raise UnknownMember(id=member_id)


def _to_member(row: Row) -> Member:
    return msgspec.convert({name: row[name] for name in Member.__struct_fields__}, Member)


async def _owned(db: Session, image_id: str, actor: Actor) -> Row:
    image = await readable_image(db, image_id, actor, lock=db.dialect.row_lock)
    if not may_change(actor, image["project_id"]):
        raise Forbidden(reason="only the image's own project decides whom it is shared with")
    return image


async def _add(db: Session, member: Member, actor: Actor, max_members: int) -> Member:
    image = await _owned(db, member.image_id, actor)
    if image["visibility"] != "shared":
        raise Forbidden(reason="only shared images have members; set visibility to shared first")
    rows = await db.select("SELECT member_id FROM image_members WHERE image_id = ?", [member.image_id])
    members = {row["member_id"] for row in rows}
    if member.member_id in members:
        raise Conflict(reason=f"the image is shared with {member.member_id} already")
    if len(members) >= max_members:
        raise QuotaExceeded(what="members", quota=max_members, used=len(members))
    row = {
        **msgspec.structs.asdict(member),
        "image_created_at": image["created_at"],
        "created_at": to_text(member.created_at),
        "updated_at": to_text(member.updated_at),
    }
    await db.insert("image_members", row)
    return await _one(db, member.image_id, member.member_id)


async def _answer(db: Session, member: Member, actor: Actor) -> Member:
    await readable_image(db, member.image_id, actor)
    if actor.project_id != member.member_id and not actor.is_admin:
        raise Forbidden(reason="only the member itself accepts or rejects an image")
    await _one(db, member.image_id, member.member_id)
    sql = "UPDATE image_members SET status = ?, updated_at = ? WHERE image_id = ? AND member_id = ?"
    await db.execute(sql, [member.status, to_text(member.updated_at), member.image_id, member.member_id])
    return await _one(db, member.image_id, member.member_id)


async def _remove(db: Session, image_id: str, member_id: str, actor: Actor) -> None:
    await _owned(db, image_id, actor)
    await _one(db, image_id, member_id)
    await db.execute("DELETE FROM image_members WHERE image_id = ? AND member_id = ?", [image_id, member_id])
