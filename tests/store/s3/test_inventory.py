"""A bucket in which somebody else has written: what cannot be read is let be and stops nothing."""

from pathlib import Path

from tests.lab.bucket import BucketServer
from tests.lab.bucket_store import bucket_store


async def test_a_record_that_cannot_be_read_ends_nothing_and_costs_no_bytes(
    weed: BucketServer, tmp_path: Path
) -> None:
    """A damaged record of staged bytes may name objects: those stay, and all else goes on."""
    with bucket_store(weed, tmp_path) as store:
        bucket = store._bucket
        for key in ("staging/torn.1", "objects/torn.1/abc", "objects/lost.1/abc"):
            await bucket.call(bucket.put(key, b"no record"))
        mine = await store.stage("mine", 1)
        assert await store.staged_names() == ["mine.1"]
        assert [one.name for one in await store.items() if not one.address] == ["objects/lost.1/abc"]
        await store.discard(mine)
