"""Uploads and stages: bytes that are sent to the service, and those that wait for their import call."""

import msgspec
import pytest

from fetcher.errors import Conflict
from fetcher.index.protocol import Index
from fetcher.index.values import Quota, Stage
from fetcher.lifecycle import State
from fetcher.model import FormatVerdict, Image, Import, Status
from tests.contract.index.places import Place
from tests.index.conftest import ALICE, START, blob, image, make

FORMAT = FormatVerdict(disk_format="raw", container_format="bare", name="Raw", facts={})


async def begun(index: Index, status: str = "uploading") -> tuple[Image, Import]:
    """A queued image whose bytes are being sent."""
    made = image()
    await index.images.create(made)
    record = msgspec.structs.replace(
        make().record,
        image_id=made.id,
        owns_image=False,
        state=State.RUNNING,
        claim=1,
        method="stage",
        submission=msgspec.structs.replace(make().record.submission, url=""),
        format=FORMAT,
    )
    await index.uploads.begin(record, status)
    return made, record


def done(record: Import) -> Import:
    return msgspec.structs.replace(record, state=State.SUCCEEDED, ended_at=START)


async def test_an_upload_has_its_image_to_itself(index: Index, other: Index) -> None:
    """While one body comes in, a second one for the same image is told."""
    made, record = await begun(index, "saving")
    assert (await index.images.find(made.id, ALICE)).status is Status.SAVING
    second = msgspec.structs.replace(record, id="second")
    with pytest.raises(Conflict, match="saving"):
        await other.uploads.begin(second, "saving")


async def test_a_body_that_failed_leaves_its_image_queued(index: Index) -> None:
    """Whoever sent it has had the answer on the spot: nothing is said in the image."""
    made, record = await begun(index)
    failed = msgspec.structs.replace(record, state=State.FAILED, ended_at=START)
    assert await index.imports.end(failed, {})
    again = await index.images.find(made.id, ALICE)
    assert (again.status, again.properties) == (Status.QUEUED, {})


async def test_staged_bytes_wait_and_count(place: Place) -> None:
    """They are there for the next process, count for the project, and the image says how many they are."""
    async with place.open() as index:
        made, record = await begun(index)
        assert await index.uploads.staged(made.id) is None
        assert await index.uploads.stage(done(record), blob())
        assert not await index.uploads.stage(done(record), blob())
    async with place.open() as index:
        assert await index.uploads.staged(made.id) == Stage(blob=blob(), format=FORMAT)
        assert (await index.images.find(made.id, ALICE)).staged_bytes == 5
        usage = await index.usage.find("alice")
        assert (usage.bytes, usage.staged_bytes) == (5, 5)
        assert await index.maintenance.miscounted() == []


async def test_an_image_is_made_of_its_stage_once(index: Index, other: Index) -> None:
    """Image, import and provenance appear in one transaction; the stage is gone, and so is a second call."""
    made, record = await begun(index)
    await index.uploads.stage(done(record), blob())
    stage = await index.uploads.staged(made.id)
    assert stage is not None
    call = msgspec.structs.replace(done(record), id="call", method="glance-direct")
    await index.uploads.activate(call, stage, made, {"story": "told"})
    active = await other.images.find(made.id, ALICE)
    assert (active.status, active.address, active.staged_bytes) == (Status.ACTIVE, blob().address, None)
    assert await other.imports.provenance("call", ALICE) == {"story": "told"}
    with pytest.raises(Conflict):
        await other.uploads.activate(msgspec.structs.replace(call, id="late"), stage, made, {})
    assert (await index.usage.find("alice")).bytes == 5
    assert await index.maintenance.miscounted() == []


async def test_deleting_an_image_frees_its_stage(index: Index) -> None:
    """Staged bytes go with the image that they waited for; nobody else needs them."""
    made, record = await begun(index)
    await index.uploads.stage(done(record), blob())
    assert await index.images.delete(made.id, ALICE) == blob().address
    assert (await index.usage.find("alice")).bytes == 0
    assert await index.maintenance.miscounted() == []


async def test_what_is_staged_has_a_bound(place: Place) -> None:
    """At the bound passes, one past it leaves no stage."""
    async with place.open(lambda _project: Quota(10, 1000, max_staged_bytes=5)) as index:
        made, record = await begun(index)
        assert await index.uploads.stage(done(record), blob())
        second, record = await begun(index)
        with pytest.raises(Exception, match="staged"):
            await index.uploads.stage(done(record), blob("2"))
        assert await index.uploads.staged(second.id) is None
        assert await index.uploads.staged(made.id) is not None
