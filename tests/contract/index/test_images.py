"""Images: made once under an id, changed in one step, deleted where nothing stands against it."""

import asyncio

import msgspec
import pytest

from fetcher.errors import Conflict, Forbidden, InvalidRequest, UnknownImage
from fetcher.index.protocol import Index
from fetcher.model import Image
from tests.index.conftest import ADMIN, ALICE, BOB, activate, image, make


async def test_an_image_is_read_as_it_was_written(index: Index) -> None:
    """Every attribute, tags and properties in order."""
    made = image(
        name="ä",
        visibility="community",
        is_protected=True,
        is_hidden=True,
        disk_format="raw",
        container_format="bare",
        min_disk=1,
        min_ram=2,
        tags=("a", "b"),
        properties={"k": "v", "l": ""},
    )
    await index.images.create(made)
    assert await index.images.find(made.id, ALICE) == made


async def test_an_id_stands_for_one_image(index: Index, other: Index) -> None:
    """Of two calls of two processes one makes it, and an id that stood for bytes is never used again."""
    made = image()
    jobs = [index.images.create(made), other.images.create(made)]
    results = await asyncio.gather(*jobs, return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["Conflict", "NoneType"]
    new = make()
    await index.imports.submit(new, max_queued=10)
    await activate(index, new)
    await index.images.delete(new.image.id, ALICE)
    with pytest.raises(Conflict):
        await index.images.create(image(id=new.image.id))


async def test_changes_at_once_are_all_made(index: Index, other: Index) -> None:
    """Each change sees the image as the one before left it, whichever process makes it."""
    made = image()
    await index.images.create(made)

    def add(number: int):
        def change(before: Image) -> Image:
            return msgspec.structs.replace(before, properties={**before.properties, f"p{number}": "v"})

        return change

    jobs = [(index, other)[number % 2].images.edit(made.id, ALICE, add(number)) for number in range(12)]
    await asyncio.gather(*jobs)
    assert len((await index.images.find(made.id, ALICE)).properties) == 12


async def test_a_change_that_is_refused_changes_nothing(index: Index) -> None:
    """What the change raises reaches its caller; another project's image is not changed at all."""
    made = image(visibility="public", tags=("t",))
    await index.images.create(made)

    def refuse(_before: Image) -> Image:
        raise InvalidRequest(reason="no")

    with pytest.raises(InvalidRequest):
        await index.images.edit(made.id, ALICE, refuse)
    with pytest.raises(Forbidden):
        await index.images.edit(made.id, BOB, lambda before: before)
    assert await index.images.find(made.id, ADMIN) == made


async def test_who_sees_an_image(index: Index) -> None:
    """Its project, admins, everybody where it is public or community; to others there is none."""
    made = [image(visibility=visibility) for visibility in ("private", "shared", "community", "public")]
    for one in made:
        await index.images.create(one)
    for one in made[:2]:
        with pytest.raises(UnknownImage):
            await index.images.find(one.id, BOB)
        with pytest.raises(UnknownImage):
            await index.images.delete(one.id, BOB)
    for one in made[2:]:
        assert await index.images.find(one.id, BOB) == one
        with pytest.raises(Forbidden):
            await index.images.delete(one.id, BOB)
    for one in made:
        assert await index.images.find(one.id, ADMIN) == one


async def test_what_stands_against_deletion(index: Index) -> None:
    """Protection, and an import that writes the image, which is named."""
    protected = image(is_protected=True)
    await index.images.create(protected)
    for verb in (index.images.check_deletable, index.images.delete):
        with pytest.raises(Forbidden, match="protected"):
            await verb(protected.id, ADMIN)
    new = make()
    await index.imports.submit(new, max_queued=10)
    assert await index.images.check_deletable(new.image.id, ALICE) == new.record.id
    assert (await index.images.find(new.image.id, ALICE)).import_id == new.record.id
    await activate(index, new)
    assert await index.images.check_deletable(new.image.id, ALICE) is None
