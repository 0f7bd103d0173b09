"""Nothing grows for ever: every table has what bounds it, and an index that is left alone becomes empty."""

import io
import re
from pathlib import Path
from typing import Any

from sqlite_utils.db import Database

from fetcher.index import Index
from tests.api.image_v2.cloud import OCTETS, Cloud
from tests.images import raw
from tests.lab import behaviours
from tests.lab.origin import Origin

PAGE = Path(__file__).parent.parent.parent / "docs" / "operator-store.md"

# What makes rows go: the deletion of an image, the end of an import, the next hour, or their age in a column.
GONE_WITH_IMAGES = {
    "attestations",
    "blobs",
    "images",
    "image_members",
    "image_properties",
    "image_stages",
    "image_tags",
    "provenance",
}
GONE_WITH_IMPORTS = {"deliveries"}
GONE_WITH_THE_END = {"export_secrets", "import_secrets", "notices", "pulls"}
GONE_WITHIN_THE_HOUR = {"loose_files", "usage"}
GONE_BY_AGE = {
    "audit": "at",
    "exports": "ended_at",
    "idempotency_keys": "created_at",
    "imports": "ended_at",
    "remembered_urls": "at",
    "retired_images": "at",
}
AS_MANY_AS_VERSIONS = {"_sqlite_migrations"}
ONE_ROW = {"audit_anchor"}  # What the oldest line of the audit trail is chained to.
BY_THE_OPERATOR = {
    "schedules",
    "schedule_images",  # With their images.
    "metadef_namespaces",
    "metadef_items",
    "metadef_resource_types",
}  # And bounded in [metadefs].
BOUNDED = (
    GONE_WITH_IMAGES
    | GONE_WITH_IMPORTS
    | GONE_WITH_THE_END
    | GONE_WITHIN_THE_HOUR
    | set(GONE_BY_AGE)
    | AS_MANY_AS_VERSIONS
    | ONE_ROW
    | BY_THE_OPERATOR
)


def counts(db: Database) -> dict[str, int]:
    return {name: db.table(name).count for name in db.table_names() if name not in BY_THE_OPERATOR}


def age(db: Database) -> None:
    for table, column in GONE_BY_AGE.items():
        db.execute(f"UPDATE {table} SET {column} = '2001-01-01T00:00:00.000000Z'")


async def test_every_table_has_its_bound(tmp_path: Path) -> None:
    """A new table comes with an answer to what makes its rows go, here and in the operator's page."""
    async with Index(tmp_path / "index.sqlite") as index:
        tables = set(await index.connection.read(lambda db: db.table_names()))
    assert tables == BOUNDED
    told = set(re.findall(r"`(\w+)`", PAGE.read_text().partition("## What goes by itself")[2]))
    assert tables - AS_MANY_AS_VERSIONS <= told


async def export(cloud: Cloud, origin: Origin, image_id: str) -> None:
    """Send an image to somebody who does not take it, and wait for that."""
    headers = {"X-Auth-Token": "token of alice"}
    body = {"image": image_id, "url": origin.url("/nobody")}
    _status, sent, _headers = await cloud.call("POST", "/exports", json=body, headers=headers)
    async with cloud.client.get(f"/exports/{sent['id']}/events", headers=headers) as answer:
        assert b"event: end" in await answer.read()


async def live(cloud: Cloud, origin: Origin) -> None:
    """Leave a row in every table that is kept longer than a moment."""
    url = {"url": origin.url("/x"), "disk_format": "raw", "tags": ["t"], "properties": {"p": "v"}}
    headers = {"X-Auth-Token": "token of alice", "Idempotency-Key": "k"}
    _status, made, _headers = await cloud.call("POST", "/imports", json=url, headers=headers)
    token: dict[str, Any] = {"headers": {"X-Auth-Token": "token of alice"}}
    async for _event in cloud.events(made["id"], **token):
        pass
    image = f"/images/{made['image_id']}"
    await cloud.patch(
        200, "alice", made["image_id"], {"op": "replace", "path": "/visibility", "value": "shared"}
    )
    await cloud.want(200, "alice", "POST", f"{image}/members", json={"member": "b"})
    staged = await cloud.make("bob")
    await cloud.want(
        204, "bob", "PUT", f"/images/{staged['id']}/stage", data=io.BytesIO(raw(5000)), headers=OCTETS
    )
    await cloud.make_active(who="carl")
    await export(cloud, origin, made["image_id"])


async def test_an_index_that_is_left_alone_becomes_empty(tmp_path: Path) -> None:
    """Images are deleted, records get old, the hour strikes: no row is left in any table."""
    routes = {"/x": behaviours.serve(raw(1000), etag='"v1"')}
    reuse = {"revalidate": "project"}
    async with (
        Origin(routes) as origin,
        Cloud(tmp_path, origin, reuse=reuse, exports={"receivers": [origin.host]}) as cloud,
    ):
        await live(cloud, origin)
        services = cloud.service.app.state.services
        full = await services.index.connection.read(counts)
        always = GONE_WITH_THE_END | GONE_WITH_IMPORTS | ONE_ROW | {"loose_files", "retired_images"}
        assert {name for name, count in full.items() if not count} == always
        for image in (await cloud.want(200, "root", "GET", "/images?limit=100"))["images"]:
            await cloud.want(204, "root", "DELETE", f"/images/{image['id']}")
        assert (await services.index.connection.read(counts))["retired_images"] == 2
        await services.index.connection.write(age)
        await services.maintenance.start()  # What the hour does with loose files, without the hour.
        await services.maintenance.do_chores()
        left = await services.index.connection.read(counts)
        assert {name for name, count in left.items() if count} == AS_MANY_AS_VERSIONS | ONE_ROW
        assert cloud.traces() == []
        await live(cloud, origin)  # And it is none the worse for it.
        assert await services.index.maintenance.miscounted() == []


async def test_young_records_stay(tmp_path: Path) -> None:
    """The hour takes nothing that has not reached its age."""
    routes = {"/x": behaviours.serve(raw(1000), etag='"v1"')}
    reuse = {"revalidate": "project"}
    async with (
        Origin(routes) as origin,
        Cloud(tmp_path, origin, reuse=reuse, exports={"receivers": [origin.host]}) as cloud,
    ):
        await live(cloud, origin)
        services = cloud.service.app.state.services
        before = await services.index.connection.read(counts)
        await services.maintenance.do_chores()
        assert await services.index.connection.read(counts) == before


async def test_more_than_one_sweep_is_swept(tmp_path: Path) -> None:
    """However many records are old at once, one round takes them all, a thousand at a time."""
    async with Cloud(tmp_path) as cloud:
        services = cloud.service.app.state.services

        def fill(db: Database) -> None:
            numbers = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500)"
            old = "'2001-01-01T00:00:00.000000Z'"
            db.execute(f"INSERT INTO retired_images (id, at) {numbers} SELECT 'old ' || i, {old} FROM n")
            db.execute(
                f"""INSERT INTO audit (at, project_id, user_id, action)
                    {numbers} SELECT {old}, 'p', 'u', 'made' FROM n"""
            )

        await services.index.connection.write(fill)
        await services.maintenance.forget()
        left = await services.index.connection.read(counts)
        assert (left["retired_images"], left["audit"]) == (0, 0)
