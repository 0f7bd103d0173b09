"""Members: whom an image is shared with, and what they answer."""

import asyncio

import msgspec
import pytest

from fetcher.errors import Conflict, Failure, Forbidden, QuotaExceeded, UnknownImage, UnknownMember
from fetcher.index.protocol import Index
from fetcher.index.values import ImageQuery
from fetcher.model import Actor, Image, Member
from tests.index.conftest import ADMIN, ALICE, BOB, START, image

CARL = Actor(project_id="carl", user_id="c")


def member(made: Image, name: str = "bob", status: str = "pending") -> Member:
    return Member(image_id=made.id, member_id=name, status=status, created_at=START, updated_at=START)


async def shared(index: Index) -> Image:
    """An image of alice's that is shared with bob."""
    made = image(visibility="shared")
    await index.images.create(made)
    assert await index.members.add(member(made), ALICE, max_members=9) == member(made)
    return made


async def test_a_member_sees_the_image_and_itself(index: Index) -> None:
    """The owner sees all members, a member itself alone, and nobody else that there is such an image."""
    made = await shared(index)
    await index.members.add(member(made, "carl"), ALICE, max_members=9)
    assert [one.member_id for one in await index.members.all(made.id, ALICE)] == ["bob", "carl"]
    assert [one.member_id for one in await index.members.all(made.id, BOB)] == ["bob"]
    assert await index.members.find(made.id, "bob", BOB) == member(made)
    with pytest.raises(UnknownMember):
        await index.members.find(made.id, "carl", BOB)
    with pytest.raises(UnknownImage):
        await index.members.all(made.id, Actor(project_id="dora", user_id="d"))


async def test_only_an_accepted_image_is_in_the_members_list(index: Index) -> None:
    """Sharing puts nothing into another project's list until that project says so."""
    made = await shared(index)
    assert (await index.images.find(made.id, BOB)).id == made.id
    assert await index.images.page(BOB, ImageQuery(limit=5)) == []
    answer = msgspec.structs.replace(member(made), status="accepted")
    assert await index.members.answer(answer, BOB) == answer
    assert [one.id for one in await index.images.page(BOB, ImageQuery(limit=5))] == [made.id]
    await index.members.remove(made.id, "bob", ALICE)
    assert await index.images.page(BOB, ImageQuery(limit=5)) == []
    with pytest.raises(UnknownImage):
        await index.images.find(made.id, BOB)


async def test_each_side_decides_its_own(index: Index) -> None:
    """The owner cannot accept for a member, a member cannot share further, an admin may do both."""
    made = await shared(index)
    with pytest.raises(Forbidden):
        await index.members.answer(member(made, status="accepted"), ALICE)
    with pytest.raises(Forbidden):
        await index.members.add(member(made, "carl"), BOB, max_members=9)
    with pytest.raises(Forbidden):
        await index.members.remove(made.id, "bob", BOB)
    with pytest.raises(UnknownMember):
        await index.members.answer(member(made, "carl", "accepted"), ADMIN)
    assert (await index.members.answer(member(made, status="rejected"), ADMIN)).status == "rejected"


async def test_an_image_is_shared_with_a_project_once(index: Index, other: Index) -> None:
    """Five calls of two processes at once: one shares it, and the others are told."""
    made = image(visibility="shared")
    await index.images.create(made)
    jobs = [(index, other)[number % 2].members.add(member(made), ALICE, max_members=9) for number in range(5)]
    results = await asyncio.gather(*jobs, return_exceptions=True)
    assert sum(isinstance(result, Conflict) for result in results) == 4
    assert len(await index.members.all(made.id, ALICE)) == 1


async def test_members_are_bounded_whoever_adds_them(index: Index, other: Index) -> None:
    """Ten members race for three places in two processes."""
    made = image(visibility="shared")
    await index.images.create(made)
    jobs = [
        (index, other)[number % 2].members.add(member(made, f"p{number}"), ALICE, max_members=3)
        for number in range(10)
    ]
    results = await asyncio.gather(*jobs, return_exceptions=True)
    assert sum(isinstance(result, QuotaExceeded) for result in results) == 7
    assert len(await index.members.all(made.id, ALICE)) == 3


async def test_only_a_shared_image_has_members(index: Index) -> None:
    """A private image is shared with nobody by adding a member."""
    made = image()
    await index.images.create(made)
    with pytest.raises(Failure, match="visibility"):
        await index.members.add(member(made), ALICE, max_members=9)
    with pytest.raises(UnknownImage):
        await index.images.find(made.id, CARL)
