"""Two projects, three roles, four visibilities: who sees and may do what, as one table."""

from typing import Any

import pytest
import pytest_asyncio

from tests.api.image_v2.cloud import DISK, OCTETS, Cloud

pytestmark = pytest.mark.asyncio(loop_scope="module")

# Of project a; `member` is shared with project b, which has accepted, `pending` waits for its answer.
IMAGES = ("private", "shared", "pending", "member", "community", "public")
PEOPLE = ("alice", "rita", "root", "bob", "rob")  # a's member and reader, an admin, b's member and reader

# Whose list, without a filter, holds which: other projects' community images only where they are asked for.
LISTED = {
    "alice": {*IMAGES},
    "rita": {*IMAGES},
    "root": {"private", "shared", "pending", "member", "public"},
    "bob": {"member", "public"},
    "rob": {"member", "public"},
}
LISTED_WITH = {
    "visibility=all": ({*IMAGES}, {"member", "community", "public"}),
    "visibility=private": ({"private"}, set()),
    "visibility=public": ({"public"}, {"public"}),
    "visibility=community": ({"community"}, {"community"}),
    "visibility=shared": ({"shared", "pending", "member"}, {"member"}),
    "visibility=shared&member_status=pending": ({"shared", "pending", "member"}, {"pending"}),
    "visibility=shared&member_status=all": ({"shared", "pending", "member"}, {"pending", "member"}),
    "visibility=shared&member_status=rejected": ({"shared", "pending", "member"}, set()),
    "member_status=pending": ({*IMAGES}, {"pending", "public"}),
    "owner=a": ({*IMAGES}, {"member", "community", "public"}),
    "owner=b": (set(), set()),
    "owner=a&visibility=community": ({"community"}, {"community"}),
    "status=active": ({*IMAGES}, {"member", "public"}),
    "name=public": ({"public"}, {"public"}),
    "name=private": ({"private"}, set()),
    "name=community": ({"community"}, set()),
    "tag=member": ({"member"}, {"member"}),
    "kind=shared": ({"shared"}, set()),
}
VISIBLE_TO_B = {"pending", "member", "community", "public"}

# What each gets: a's member, a's reader, the admin, b's member where it sees the image, and where not.
# b's reader gets what a's reader gets where that is 403, else what b's member gets.
MAY = {
    "show": (200, 200, 200, 200, 404),
    "fetch": (200, 403, 200, 200, 404),
    "tasks": (200, 200, 200, 200, 404),
    "list members": (200, 200, 200, 200, 404),
    "change": (200, 403, 200, 403, 404),
    "tag": (204, 403, 204, 403, 404),
    "untag": (204, 403, 204, 403, 404),
    "upload": (409, 403, 409, 403, 404),
    "stage": (409, 403, 409, 403, 404),
    "import": (409, 403, 409, 403, 404),
    "deactivate": (204, 403, 204, 403, 404),
    "reactivate": (204, 403, 204, 403, 404),
    "publish": (403, 403, 200, 403, 404),
    "give away": (403, 403, 200, 403, 404),
    "delete": (403, 403, 403, 403, 404),  # All are protected, so that they outlive the table.
}
WEB = {"method": {"name": "web-download", "uri": "https://mirror.example/x"}}


def replace(name: str, value: Any) -> dict[str, Any]:
    headers = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
    return {"json": [{"op": "replace", "path": f"/{name}", "value": value}], "headers": headers}


CALLS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "show": ("GET", "", {}),
    "fetch": ("GET", "/file", {}),
    "tasks": ("GET", "/tasks", {}),
    "list members": ("GET", "/members", {}),
    "change": ("PATCH", "", replace("min_disk", 1)),
    "tag": ("PUT", "/tags/x", {}),
    "untag": ("DELETE", "/tags/x", {}),
    "upload": ("PUT", "/file", {"data": DISK, "headers": OCTETS}),
    "stage": ("PUT", "/stage", {"data": DISK, "headers": OCTETS}),
    "import": ("POST", "/import", {"json": WEB}),
    "deactivate": ("POST", "/actions/deactivate", {}),
    "reactivate": ("POST", "/actions/reactivate", {}),
    "publish": ("PATCH", "", replace("visibility", "public")),
    "give away": ("PATCH", "", replace("owner", "elsewhere")),
    "delete": ("DELETE", "", {}),
}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def made(cloud: Cloud) -> dict[str, str]:
    """One image of each kind, with bytes, by its name."""
    found = {}
    for name in IMAGES:
        visibility = "shared" if name in {"pending", "member"} else name
        fields = {"name": name, "visibility": visibility, "owner": "a", "tags": [name], "kind": name}
        image = await cloud.make_active(who="root", protected=True, **fields)
        found[name] = image["id"]
        if name in {"pending", "member"}:
            await cloud.want(200, "alice", "POST", f"/images/{image['id']}/members", json={"member": "b"})
    answer = {"json": {"status": "accepted"}}
    await cloud.want(200, "bob", "PUT", f"/images/{found['member']}/members/b", **answer)
    return found


async def listed(cloud: Cloud, who: str, query: str) -> set[str]:
    page = await cloud.want(200, who, "GET", f"/images?{query}")
    return {image["name"] for image in page["images"]}


@pytest.mark.parametrize("who", PEOPLE)
async def test_who_lists_what(cloud: Cloud, made: dict[str, str], who: str) -> None:
    """Each sees its project's images, public ones, and shared ones that it accepted."""
    assert await listed(cloud, who, "") == LISTED[who]
    for query, (own, foreign) in LISTED_WITH.items():
        expected = foreign if who in {"bob", "rob"} else own
        if who == "root" and "visibility" not in query and "owner" not in query:
            expected = expected - {"community"}  # Which belong to another project than the admin's.
        assert await listed(cloud, who, query) == expected, query


@pytest.mark.parametrize("action", MAY)
@pytest.mark.parametrize("name", IMAGES)
async def test_who_may_do_what(cloud: Cloud, made: dict[str, str], name: str, action: str) -> None:
    """Another project's private image does not exist; what is visible may be looked at, not changed."""
    member, reader, admin, sees, does_not = MAY[action]
    foreign = sees if name in VISIBLE_TO_B else does_not
    expected = {
        "alice": member,
        "rita": reader,
        "bob": foreign,
        "rob": 403 if (reader, foreign) == (403, sees) else foreign,
        "root": admin,
    }
    if action == "publish" and name == "public":
        expected["alice"] = 200  # It is already.
    method, path, options = CALLS[action]
    got = {}
    for who in expected:
        if action == "untag":
            await cloud.want(204, "root", "PUT", f"/images/{made[name]}{path}")
        if action == "fetch":
            got[who] = (await cloud.fetch(who, made[name]))[0]
        else:
            got[who] = (await cloud.ask(who, method, f"/images/{made[name]}{path}", **options))[0]
        if action in {"publish", "give away"} and who == "root":
            back = {"publish": ("visibility", await _visibility(name)), "give away": ("owner", "a")}[action]
            await cloud.want(200, "root", "PATCH", f"/images/{made[name]}", **replace(*back))
    assert got == expected


async def _visibility(name: str) -> str:
    return "shared" if name in {"pending", "member"} else name
