"""What clients ask first: versions, schemas, import methods and limits, stores."""

from pathlib import Path

import jsonschema
import pytest

from fetcher.guards import published
from tests.api.image_v2.cloud import Cloud

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_versions_are_told_without_a_token(cloud: Cloud) -> None:
    """A client shapes its calls by them before it has logged in."""
    status, root, _headers = await cloud.call("GET", "/")
    assert status == 300
    for path in ("/versions", "/v2", "/v2/"):
        status, document, _headers = await cloud.call("GET", path)
        assert (status, document) == (200, root)
    ids = [version["id"] for version in root["versions"]]
    assert ids[0] == "v2.17"
    assert ids[-1] == "v2.0"
    assert [version["status"] for version in root["versions"]] == ["CURRENT"] + ["SUPPORTED"] * 15
    assert {(entry["min_version"], entry["max_version"]) for entry in root["versions"]} == {("2.0", "2.17")}
    assert root["versions"][0]["links"] == [{"rel": "self", "href": f"{cloud.base}/v2/"}]


async def test_links_begin_with_the_public_url(tmp_path: Path) -> None:
    """Behind a proxy, the Host header of a request is not where clients reach the service."""
    async with Cloud(tmp_path, server={"public_url": "https://image.example"}) as cloud:
        document = (await cloud.call("GET", "/versions"))[1]
        assert document["versions"][0]["links"][0]["href"] == "https://image.example/v2/"


async def test_discovery_is_made_from_the_guards(cloud: Cloud) -> None:
    """Beside the methods stands every limit in force, with description, type and value."""
    document = await cloud.want(200, "rita", "GET", "/info/import")
    limits = {limit.name: limit for limit in published(cloud.service.settings)}
    assert set(document) == {"import-methods", "source_schemes", *limits}
    for name, entry in document.items():
        assert entry["type"] in {"array", "boolean", "integer", "number", "string"}
        assert entry["description"]
        assert name not in limits or entry["value"] == limits[name].value
    assert document["max_bytes"]["value"] == 21_474_836_480
    for name in ("disk_formats", "container_formats", "url_schemes", "url_ports", "checksum_algorithms"):
        assert document[name]["value"]


@pytest.mark.parametrize("name", ["image", "images", "member", "members", "task", "tasks"])
async def test_schemas_are_schemas(cloud: Cloud, name: str) -> None:
    """Each is valid JSON Schema and named as asked for."""
    schema = await cloud.want(200, "rita", "GET", f"/schemas/{name}")
    assert schema["name"] == name
    jsonschema.Draft4Validator.check_schema(schema)


async def test_unknown_schemas_are_404(cloud: Cloud) -> None:
    """Metadata definitions have theirs below `metadefs`."""
    for name in ("namespace", "metadefs", "s"):
        fault = await cloud.want(404, "rita", "GET", f"/schemas/{name}")
        assert fault["error"]["code"] == 404


async def test_lists_fit_their_schemas(cloud: Cloud) -> None:
    """What is listed is what the schema says."""
    image = await cloud.make()
    await cloud.want(200, "alice", "POST", f"/images/{image['id']}/members", json={"member": "b"})
    for name, path in {
        "images": "/images",
        "members": f"/images/{image['id']}/members",
        "tasks": "/tasks",
    }.items():
        schema = await cloud.want(200, "alice", "GET", f"/schemas/{name}")
        listed = await cloud.want(200, "alice", "GET", path)
        assert bool(listed[name]) is (name != "tasks")
        jsonschema.validate(listed, schema)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**listed, name: "a list it is not"}, schema)


async def test_the_schema_has_the_operators_formats(tmp_path: Path) -> None:
    """A client that builds its choices from the schema offers what is accepted."""
    formats = {"disk_formats": ["qcow2"], "container_formats": ["bare"]}
    async with Cloud(tmp_path, format=formats) as cloud:
        schema = await cloud.want(200, "rita", "GET", "/schemas/image")
        assert schema["properties"]["disk_format"]["enum"] == [None, "qcow2"]
        assert schema["properties"]["container_format"]["enum"] == [None, "bare"]
        await cloud.want(400, "alice", "POST", "/images", json={"disk_format": "raw"})


async def test_there_is_one_store(cloud: Cloud) -> None:
    """Clients that know several stores find one."""
    document = await cloud.want(200, "rita", "GET", "/info/stores")
    assert [(store["id"], store["default"]) for store in document["stores"]] == [("fs", "true")]


async def test_usage_is_the_projects(tmp_path: Path) -> None:
    """What it holds and may hold, in images and MiB begun; another project's does not count."""
    async with Cloud(tmp_path, quota={"max_images": 3, "max_bytes": 5_242_880}) as cloud:
        await cloud.make_active()
        await cloud.make()
        shown = {who: (await cloud.want(200, who, "GET", "/info/usage"))["usage"] for who in ("rita", "bob")}
        assert shown["rita"] == {
            "image_size_total": {"limit": 5, "usage": 1},
            "image_count_total": {"limit": 3, "usage": 2},
            "image_count_uploading": {"limit": 10_000, "usage": 0},
            "image_stage_total": {"limit": 1_048_576, "usage": 0},
        }
        assert {entry["usage"] for entry in shown["bob"].values()} == {0}
        await cloud.make()
        document = await cloud.want(413, "alice", "POST", "/images", json={})
        assert document["error"]["type"] == "quota-exceeded"


async def test_errors_are_what_clients_read(cloud: Cloud) -> None:
    """One object with a message; its code, fields and the request's id beside it."""
    status, document, headers = await cloud.ask("alice", "GET", "/images/nope")
    assert status == 404
    assert document == {
        "error": {
            "code": 404,
            "title": "Not Found",
            "message": "No image found with ID nope. Check the id.",
            "type": "unknown-image",
            "fields": {"id": "nope"},
            "request_id": headers["x-openstack-request-id"],
        }
    }


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v2/nope", 404), ("PUT", "/v2/images", 405), ("GET", "/v2/metadefs/x", 404)],
)
async def test_what_is_not_there_is_told_in_the_same_form(
    cloud: Cloud, method: str, path: str, status: int
) -> None:
    """Unknown paths and methods too."""
    got, document, _headers = await cloud.call(method, path, headers={"X-Auth-Token": "token of alice"})
    assert (got, document["error"]["code"]) == (status, status)


async def test_bodies_are_strict(cloud: Cloud) -> None:
    """Doubled keys, forms and endless bodies are refused on this face too, and make nothing."""
    before = await cloud.want(200, "alice", "GET", "/images")
    options = {"data": b'{"name": "a", "name": "b"}', "headers": {"Content-Type": "application/json"}}
    await cloud.want(400, "alice", "POST", "/images", **options)
    await cloud.want(400, "alice", "POST", "/images", data={"name": "a"})
    await cloud.want(400, "alice", "POST", "/images", json=[])
    assert await cloud.want(200, "alice", "GET", "/images") == before
