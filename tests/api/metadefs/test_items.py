"""Properties, objects, tags and resource types of a namespace, one at a time."""

from typing import Any
from uuid import uuid4

import jsonschema
import pytest
import pytest_asyncio

from tests.api.image_v2.cloud import Cloud
from tests.api.metadefs.test_namespaces import BASE, BUS, WHOLE, make

pytestmark = pytest.mark.asyncio(loop_scope="module")
RESOURCE_TYPES = {
    f"OS::{name}"
    for name in ("Glance::Image", "Cinder::Volume", "Nova::Flavor", "Nova::Aggregate", "Nova::Server")
}


@pytest_asyncio.fixture(loop_scope="module")
async def path(cloud: Cloud) -> str:
    """The path of an empty public namespace."""
    return f"{BASE}/{(await make(cloud, visibility='public'))['namespace']}"


async def test_a_property_has_a_life(cloud: Cloud, path: str) -> None:
    """Made, shown, listed by name, changed, renamed, deleted."""
    body = {"name": "disk_bus", **BUS, "description": None}
    made = await cloud.want(201, "root", "POST", f"{path}/properties", json=body)
    assert made == {"name": "disk_bus", **BUS}
    assert await cloud.want(200, "rob", "GET", f"{path}/properties/disk_bus") == made
    listed = await cloud.want(200, "rob", "GET", f"{path}/properties")
    assert listed == {"properties": {"disk_bus": made}}
    await cloud.want(409, "root", "POST", f"{path}/properties", json=body)
    after = {"name": "bus", "title": "Bus", "type": "array", "items": {"type": "string", "enum": ["a"]}}
    assert await cloud.want(200, "root", "PUT", f"{path}/properties/disk_bus", json=after) == after
    await cloud.want(404, "root", "PUT", f"{path}/properties/disk_bus", json=after)
    await cloud.want(201, "root", "POST", f"{path}/properties", json=body)
    await cloud.want(409, "root", "PUT", f"{path}/properties/disk_bus", json=after)
    await cloud.want(204, "root", "DELETE", f"{path}/properties/bus")
    await cloud.want(204, "root", "DELETE", f"{path}/properties")
    assert await cloud.want(200, "rob", "GET", f"{path}/properties") == {"properties": {}}
    for wrong in ({"name": "x"}, {**BUS}, {"name": "x" * 81, **BUS}, {"name": "x", **BUS, "odd": 1}):
        await cloud.want(400, "root", "POST", f"{path}/properties", json=wrong)
    await cloud.want(403, "root", "POST", f"{path}/properties", json={**body, "updated_at": "x"})


async def test_a_property_is_found_under_a_resource_types_prefix(cloud: Cloud) -> None:
    """`resource_type` wants the name with the prefix, and shows the property under its own."""
    path = f"{BASE}/{(await make(cloud, **WHOLE))['namespace']}"
    image = "resource_type=OS::Glance::Image"
    shown = await cloud.want(200, "rob", "GET", f"{path}/properties/hw_disk_bus?{image}")
    assert shown["name"] == "disk_bus"
    await cloud.want(404, "rob", "GET", f"{path}/properties/disk_bus?{image}")
    await cloud.want(404, "rob", "GET", f"{path}/properties/disk_bus?resource_type=My::Type")
    await cloud.want(404, "rob", "GET", f"{path}/properties/disk_bus?resource_type=Unknown")


async def test_an_object_has_a_life(cloud: Cloud, path: str) -> None:
    """Made, shown, listed, changed, renamed, deleted."""
    body = {"name": "Limits", "description": "d", "properties": {"bus": BUS}, "required": ["bus"]}
    made = await cloud.want(201, "root", "POST", f"{path}/objects", json=body)
    assert {key: made[key] for key in body} == body
    assert made["schema"] == "/v2/schemas/metadefs/object"
    assert await cloud.want(200, "rob", "GET", f"{path}/objects/Limits") == made
    await cloud.want(409, "root", "POST", f"{path}/objects", json={"name": "Limits"})
    changed = await cloud.want(200, "root", "PUT", f"{path}/objects/Limits", json={"name": "Caps"})
    assert (changed["name"], changed["required"], "properties" in changed) == ("Caps", [], False)
    assert changed["created_at"] == made["created_at"]
    listed = await cloud.want(200, "rob", "GET", f"{path}/objects")
    assert (listed["objects"], listed["schema"]) == ([changed], "/v2/schemas/metadefs/objects")
    await cloud.want(204, "root", "DELETE", f"{path}/objects/Caps")
    await cloud.want(404, "root", "GET", f"{path}/objects/Caps")
    for wrong in ({}, {"name": ""}, {"name": "x", "properties": {"p": {}}}, {"name": "x", "odd": 1}):
        await cloud.want(400, "root", "POST", f"{path}/objects", json=wrong)
    await cloud.want(403, "root", "POST", f"{path}/objects", json={"name": "x", "self": "/"})


async def names(cloud: Cloud, path: str, query: str = "") -> list[str]:
    page = await cloud.want(200, "rob", "GET", f"{path}/tags{query}")
    return [tag["name"] for tag in page["tags"]]


async def test_tags_come_one_by_one_and_together(cloud: Cloud, path: str) -> None:
    """Several tags take the place of all, unless they are to be appended; a tag can be renamed."""
    made = await cloud.want(201, "root", "POST", f"{path}/tags/first")
    assert (made["name"], "created_at" in made) == ("first", True)
    await cloud.want(409, "root", "POST", f"{path}/tags/first")
    body = {"tags": [{"name": "a"}, {"name": "b"}]}
    assert await cloud.want(201, "root", "POST", f"{path}/tags", json=body) == body
    assert await names(cloud, path) == ["b", "a"]
    append = {"X-OpenStack-Append": "True"}
    await cloud.want(409, "root", "POST", f"{path}/tags", json=body, headers=append)
    await cloud.want(201, "root", "POST", f"{path}/tags", json={"tags": [{"name": "c/d"}]}, headers=append)
    odd = {"X-OpenStack-Append": "perhaps"}
    await cloud.want(400, "root", "POST", f"{path}/tags", json={"tags": []}, headers=odd)
    assert await names(cloud, path, "?sort_key=name&sort_dir=asc") == ["a", "b", "c/d"]
    assert (await cloud.want(200, "root", "PUT", f"{path}/tags/c/d", json={"name": "e"}))["name"] == "e"
    await cloud.want(409, "root", "PUT", f"{path}/tags/e", json={"name": "a"})
    await cloud.want(404, "root", "PUT", f"{path}/tags/c/d", json={"name": "f"})
    await cloud.want(400, "root", "POST", f"{path}/tags/{'t' * 81}")
    await cloud.want(204, "root", "DELETE", f"{path}/tags/e")
    await cloud.want(204, "root", "DELETE", f"{path}/tags")
    assert await names(cloud, path) == []


@pytest.mark.parametrize("kind", ["tags", "objects"])
async def test_items_are_paged(cloud: Cloud, path: str, kind: str) -> None:
    """A list without a limit is whole; with one, each page follows the last."""
    for number in range(30):
        if kind == "tags":
            await cloud.want(201, "root", "POST", f"{path}/tags/n{number:02}")
        else:
            await cloud.want(201, "root", "POST", f"{path}/objects", json={"name": f"n{number:02}"})
    whole = await cloud.want(200, "rob", "GET", f"{path}/{kind}")
    assert len(whole[kind]) == 30
    found: list[Any] = []
    page = {"next": f"/v2{path}/{kind}?limit=7&sort_key=name&sort_dir=asc"}
    while "next" in page:
        page = await cloud.want(200, "rob", "GET", page["next"].removeprefix("/v2"))
        found += [item["name"] for item in page[kind]]
    assert found == [f"n{number:02}" for number in range(30)]
    for query in ("limit=x", "sort_key=odd", "sort_dir=up"):
        await cloud.want(400, "rob", "GET", f"{path}/{kind}?{query}")
    await cloud.want(404, "rob", "GET", f"{path}/{kind}?marker=odd")


async def test_resource_types_are_there_from_the_start(cloud: Cloud, path: str) -> None:
    """The well-known ones stay; one that an association brought goes with its last association."""
    found = (await cloud.want(200, "rob", "GET", "/metadefs/resource_types"))["resource_types"]
    assert {entry["name"] for entry in found} >= RESOURCE_TYPES
    name = f"My::{uuid4().hex}"
    body = {"name": name, "prefix": "my:", "properties_target": "user"}
    made = await cloud.want(201, "root", "POST", f"{path}/resource_types", json=body)
    assert {key: made[key] for key in body} == body
    await cloud.want(409, "root", "POST", f"{path}/resource_types", json={"name": name})
    listed = await cloud.want(200, "rob", "GET", f"{path}/resource_types")
    assert listed == {"resource_type_associations": [made]}
    known = await cloud.want(200, "rob", "GET", "/metadefs/resource_types")
    assert name in {entry["name"] for entry in known["resource_types"]}
    await cloud.want(204, "root", "DELETE", f"{path}/resource_types/{name}")
    await cloud.want(404, "root", "DELETE", f"{path}/resource_types/{name}")
    known = await cloud.want(200, "rob", "GET", "/metadefs/resource_types")
    assert name not in {entry["name"] for entry in known["resource_types"]}
    await cloud.want(400, "root", "POST", f"{path}/resource_types", json={"name": "x", "prefix": "p" * 81})


SCHEMAS = {
    "namespace": ("namespace", ""),
    "namespaces": ("namespaces", None),
    "resource_type": ("resource_type_association", None),
    "resource_types": ("resource_type_associations", "/resource_types"),
    "property": ("property", "/properties/disk_bus"),
    "properties": ("properties", "/properties"),
    "object": ("object", "/objects/CPU limits"),
    "objects": ("objects", "/objects"),
    "tag": ("tag", "/tags/one"),
    "tags": ("tags", "/tags"),
}


@pytest.mark.parametrize("name", SCHEMAS)
async def test_what_is_shown_fits_its_schema(cloud: Cloud, name: str) -> None:
    """Clients build classes from the schemas; each is valid and describes what is answered."""
    schema = await cloud.want(200, "rob", "GET", f"/schemas/metadefs/{name}")
    title, below = SCHEMAS[name]
    assert schema["name"] == title
    jsonschema.Draft4Validator.check_schema(schema)
    if below is not None:
        path = f"{BASE}/{(await make(cloud, **WHOLE))['namespace']}{below}"
        jsonschema.validate(await cloud.want(200, "rob", "GET", path), schema)
    else:
        await cloud.want(404, "rob", "GET", f"/schemas/metadefs/{name}x")
