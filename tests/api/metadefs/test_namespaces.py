"""Namespaces of metadata definitions: who sees and changes them, what they hold, how they are listed."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.api.image_v2.cloud import Cloud

pytestmark = pytest.mark.asyncio(loop_scope="module")

BASE = "/metadefs/namespaces"
BUS = {"title": "Disk bus", "type": "string", "enum": ["scsi", "virtio"], "default": "virtio"}
COUNT = {"title": "Count", "type": "integer", "minimum": 0, "maxLength": 3, "operators": ["<in>"]}
WHOLE = {
    "display_name": "A display name",
    "description": "What it is.",
    "visibility": "public",
    "resource_type_associations": [{"name": "OS::Glance::Image", "prefix": "hw_"}, {"name": "My::Type"}],
    "properties": {"disk_bus": BUS},
    "objects": [{"name": "CPU limits", "description": "x", "required": ["n"], "properties": {"n": COUNT}}],
    "tags": [{"name": "one"}, {"name": "two"}],
}


async def make(cloud: Cloud, who: str = "root", **fields: Any) -> dict[str, Any]:
    """Make a namespace with a name of its own."""
    body = {"namespace": f"Test::{uuid4().hex}", **fields}
    return dict(await cloud.want(201, who, "POST", BASE, json=body))


async def test_a_namespace_comes_with_everything_in_it(cloud: Cloud) -> None:
    """One request makes it and one shows it; what is not said is left out."""
    made = await make(cloud, **WHOLE)
    name = made["namespace"]
    assert made["self"] == f"/v2/metadefs/namespaces/{name}"
    assert made["schema"] == "/v2/schemas/metadefs/namespace"
    assert (made["owner"], made["protected"]) == ("ops", False)
    shown = await cloud.want(200, "alice", "GET", f"{BASE}/{name}")
    assert shown == made
    assert shown["properties"] == {"disk_bus": {"name": "disk_bus", **BUS}}
    assert shown["tags"] == WHOLE["tags"]
    [entry] = shown["objects"]
    assert (entry["properties"], entry["required"]) == ({"n": COUNT}, ["n"])
    assert entry["self"] == f"/v2/metadefs/namespaces/{name}/objects/CPU limits"
    assert [item["name"] for item in shown["resource_type_associations"]] == ["OS::Glance::Image", "My::Type"]
    bare = await make(cloud)
    assert set(bare) == {
        *("namespace", "visibility", "protected", "owner", "created_at", "updated_at", "self", "schema")
    }


async def test_a_new_namespace_says_where_it_is(cloud: Cloud) -> None:
    """Location is absolute, and quoted where a path has to be."""
    name = f"With::space {uuid4().hex}"
    answer = await cloud.ask("root", "POST", BASE, json={"namespace": name})
    assert answer[2]["location"] == f"{cloud.base}/v2/metadefs/namespaces/{name.replace(' ', '%20')}"
    await cloud.want(200, "root", "GET", f"{BASE}/{name}")


async def test_a_resource_type_puts_its_prefix_before_properties(cloud: Cloud) -> None:
    """`resource_type` shows properties as they are named on that resource."""
    name = (await make(cloud, **WHOLE))["namespace"]
    shown = await cloud.want(200, "rita", "GET", f"{BASE}/{name}?resource_type=OS::Glance::Image")
    assert shown["properties"] == {"hw_disk_bus": {"name": "disk_bus", **BUS}}
    [entry] = shown["objects"]
    assert (list(entry["properties"]), entry["required"]) == (["hw_n"], ["hw_n"])
    for other in ("My::Type", "Unknown"):
        shown = await cloud.want(200, "rita", "GET", f"{BASE}/{name}?resource_type={other}")
        assert list(shown["properties"]) == ["disk_bus"]


async def test_changing_a_namespace_keeps_its_content(cloud: Cloud) -> None:
    """PUT replaces its own attributes, and may rename it; what is left out is as for a new one."""
    name = (await make(cloud, **WHOLE, protected=True))["namespace"]
    after = {"namespace": f"{name}-renamed", "description": "other"}
    changed = await cloud.want(200, "root", "PUT", f"{BASE}/{name}", json=after)
    assert (changed["visibility"], changed["protected"], changed["owner"]) == ("private", False, "ops")
    assert "display_name" not in changed
    shown = await cloud.want(200, "root", "GET", f"{BASE}/{name}-renamed")
    assert list(shown["properties"]) == ["disk_bus"]
    await cloud.want(404, "root", "GET", f"{BASE}/{name}")
    other = (await make(cloud))["namespace"]
    await cloud.want(409, "root", "PUT", f"{BASE}/{other}", json={"namespace": f"{name}-renamed"})
    await cloud.want(409, "root", "POST", BASE, json={"namespace": other})


PARTS = ("", "/properties", "/properties/disk_bus", "/objects", "/objects/CPU limits", "/tags", "/tags/one")


async def test_nothing_of_a_protected_namespace_is_deleted(cloud: Cloud) -> None:
    """403 for itself and for each part; after the protection is taken away, 204."""
    name = (await make(cloud, **WHOLE, protected=True))["namespace"]
    paths = (*reversed(PARTS), "/resource_types/My::Type")
    for path in paths:
        await cloud.want(403, "root", "DELETE", f"{BASE}/{name}{path}")
    shown = await cloud.want(200, "root", "GET", f"{BASE}/{name}")
    assert (list(shown["properties"]), len(shown["objects"]), len(shown["tags"])) == (["disk_bus"], 1, 2)
    assert len(shown["resource_type_associations"]) == 2
    await cloud.want(200, "root", "PUT", f"{BASE}/{name}", json={"namespace": name})
    for path in ("/resource_types/My::Type", *(path for path in reversed(PARTS))):
        await cloud.want(204, "root", "DELETE", f"{BASE}/{name}{path}")
        if path.count("/") == 2:
            await cloud.want(404, "root", "DELETE", f"{BASE}/{name}{path}")
    await cloud.want(404, "root", "DELETE", f"{BASE}/{name}")


# What each gets of a private and a public namespace of project a: the admin, a's own people, and others.
READS = [("GET", path, None) for path in (*PARTS, "/resource_types")]
WRITES: list[tuple[str, str, Any]] = [
    ("PUT", "", {"namespace": "x"}),
    ("POST", "/properties", {"name": "p", **BUS}),
    ("PUT", "/properties/disk_bus", {"name": "p", **BUS}),
    ("POST", "/objects", {"name": "o"}),
    ("PUT", "/objects/CPU limits", {"name": "o"}),
    ("POST", "/tags", {"tags": []}),
    ("POST", "/tags/new", None),
    ("PUT", "/tags/one", {"name": "t"}),
    ("POST", "/resource_types", {"name": "OS::Nova::Flavor"}),
    ("DELETE", "/resource_types/My::Type", None),
    *(("DELETE", path, None) for path in PARTS),
]


@pytest.mark.parametrize("visibility", ["private", "public"])
async def test_who_sees_and_changes_what(cloud: Cloud, visibility: str) -> None:
    """An admin makes them; a project sees its own and public ones; what is not seen is 404."""
    name = (await make(cloud, **{**WHOLE, "visibility": visibility}, owner="a"))["namespace"]
    for method, path, body in READS + WRITES:
        options = {} if body is None else {"json": body}
        foreign = 404 if visibility == "private" else (200 if method == "GET" else 403)
        for who, status in (
            ("alice", 200 if method == "GET" else 403),
            ("rita", 200 if method == "GET" else 403),
            ("bob", foreign),
            ("rob", foreign),
        ):
            got = (await cloud.ask(who, method, f"{BASE}/{name}{path}", **options))[0]
            assert (who, method, path, got) == (who, method, path, status)
    for who in ("alice", "rita", "bob"):
        await cloud.want(403, who, "POST", BASE, json={"namespace": "x"})
    shown = await cloud.want(200, "root", "GET", f"{BASE}/{name}")
    assert shown["tags"] == WHOLE["tags"]


async def listed(cloud: Cloud, who: str, query: str) -> list[str]:
    page = await cloud.want(200, who, "GET", f"{BASE}?{query}")
    return [entry["namespace"] for entry in page["namespaces"]]


async def test_lists_are_filtered_sorted_and_paged(tmp_path: Path) -> None:
    """Every page follows the last one; a project lists its own and public namespaces."""
    async with Cloud(tmp_path) as cloud:
        for number, (owner, visibility) in enumerate(
            [("a", "private"), ("a", "public"), ("b", "private"), ("b", "public"), ("a", "private")]
        ):
            types = [{"name": "OS::Nova::Flavor"}] if number % 2 else [{"name": "My::Type"}]
            fields = {"owner": owner, "visibility": visibility, "resource_type_associations": types}
            await make(cloud, namespace=f"n{number}", **fields)
        assert await listed(cloud, "root", "") == ["n4", "n3", "n2", "n1", "n0"]
        assert await listed(cloud, "alice", "") == ["n4", "n3", "n1", "n0"]
        assert await listed(cloud, "rob", "") == ["n3", "n2", "n1"]
        assert await listed(cloud, "alice", "visibility=private") == ["n4", "n0"]
        assert await listed(cloud, "bob", "visibility=public") == ["n3", "n1"]
        assert await listed(cloud, "alice", "resource_types=OS::Nova::Flavor") == ["n3", "n1"]
        assert await listed(cloud, "root", "resource_types=OS::Nova::Flavor,My::Type&sort_dir=asc") == [
            *("n0", "n1", "n2", "n3", "n4")
        ]
        assert await listed(cloud, "root", "resource_types=Unknown") == []
        assert await listed(cloud, "root", "limit=0") == []
        for key in ("namespace", "created_at", "updated_at", "display_name", "visibility", "owner", "id"):
            for direction in ("asc", "desc"):
                query = f"sort_key={key}&sort_dir={direction}"
                found, page = [], {"next": f"/v2{BASE}?limit=2&{query}"}
                while "next" in page:
                    page = await cloud.want(200, "root", "GET", page["next"].removeprefix("/v2"))
                    found += [entry["namespace"] for entry in page["namespaces"]]
                assert found == await listed(cloud, "root", query), query
        first = await cloud.want(200, "root", "GET", f"{BASE}?limit=2&sort_key=namespace")
        assert first["first"] == "/v2/metadefs/namespaces?limit=2&sort_key=namespace"
        assert first["schema"] == "/v2/schemas/metadefs/namespaces"
        assert first["namespaces"][0]["resource_type_associations"][0]["name"] == "My::Type"
        for query in (
            "limit=-1",
            "limit=x",
            "sort_key=odd",
            "sort_dir=up",
            "visibility=shared",
            "marker=%ff",
        ):
            await cloud.want(400, "root", "GET", f"{BASE}?{query}")
        await cloud.want(404, "alice", "GET", f"{BASE}?marker=n2")


REFUSED: dict[str, tuple[Any, int]] = {
    "no name": ({}, 400),
    "empty name": ({"namespace": ""}, 400),
    "long name": ({"namespace": "n" * 81}, 400),
    "slash": ({"namespace": "a/b"}, 400),
    "long display name": ({"namespace": "x", "display_name": "n" * 81}, 400),
    "long description": ({"namespace": "x", "description": "n" * 501}, 400),
    "visibility": ({"namespace": "x", "visibility": "shared"}, 400),
    "protected": ({"namespace": "x", "protected": "yes"}, 400),
    "unknown": ({"namespace": "x", "color": "red"}, 400),
    "read-only": ({"namespace": "x", "created_at": "2026-01-01T00:00:00Z"}, 403),
    "self": ({"namespace": "x", "self": "/"}, 403),
    "property without title": ({"namespace": "x", "properties": {"p": {"type": "string"}}}, 400),
    "property of no type": ({"namespace": "x", "properties": {"p": {"title": "P", "type": "text"}}}, 400),
    "negative length": (
        {"namespace": "x", "properties": {"p": {"title": "P", "type": "string", "minLength": -1}}},
        400,
    ),
    "object without name": ({"namespace": "x", "objects": [{"description": "d"}]}, 400),
    "tag without name": ({"namespace": "x", "tags": [{}]}, 400),
    "doubled tag": ({"namespace": "x", "tags": [{"name": "t"}, {"name": "t"}]}, 409),
    "list": ([], 400),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_is_no_namespace_is_refused(cloud: Cloud, name: str) -> None:
    """The field is named, and nothing is left."""
    body, status = REFUSED[name]
    document = await cloud.want(status, "root", "POST", BASE, json=body)
    assert document["error"]["message"]
    await cloud.want(404, "root", "GET", f"{BASE}/x")


async def test_there_are_only_so_many_definitions(tmp_path: Path) -> None:
    """At each bound of `[metadefs]` passes, one past it is 413, and the refused write leaves nothing."""
    bounds = {"max_namespaces": 2, "max_items": 3, "max_namespace_bytes": 400}
    async with Cloud(tmp_path, metadefs=bounds) as cloud:
        tags = [{"name": f"t{number}"} for number in range(3)]
        name = (await make(cloud, tags=tags))["namespace"]
        path = f"{BASE}/{name}"
        await cloud.want(413, "root", "POST", f"{path}/tags/t3")
        await cloud.want(413, "root", "POST", BASE, json={"namespace": "y", "tags": [*tags, {"name": "t3"}]})
        await cloud.want(404, "root", "GET", f"{BASE}/y")
        await cloud.want(201, "root", "POST", f"{path}/objects", json={"name": "o", "description": "d" * 300})
        await cloud.want(
            413, "root", "PUT", f"{path}/objects/o", json={"name": "o", "description": "d" * 400}
        )
        assert (await cloud.want(200, "root", "GET", f"{path}/objects/o"))["description"] == "d" * 300
        await make(cloud)
        await cloud.want(413, "root", "POST", BASE, json={"namespace": "z"})
