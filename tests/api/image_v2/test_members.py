"""Sharing an image: the owner offers, the member answers."""

from pathlib import Path

import jsonschema
import pytest

from tests.api.image_v2.cloud import Cloud

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_an_image_is_offered_and_accepted(cloud: Cloud) -> None:
    """It can be opened by id at once, and is in the member's list once that has accepted."""
    image = await cloud.make(name="offered")
    path = f"/images/{image['id']}/members"
    member = await cloud.want(200, "alice", "POST", path, json={"member": "b"})
    assert (member["status"], member["image_id"], member["member_id"]) == ("pending", image["id"], "b")
    jsonschema.validate(member, await cloud.want(200, "alice", "GET", "/schemas/member"))
    await cloud.want(200, "bob", "GET", f"/images/{image['id']}")
    assert (await cloud.want(200, "bob", "GET", "/images?name=offered"))["images"] == []
    changed = await cloud.want(200, "bob", "PUT", f"{path}/b", json={"status": "accepted"})
    assert changed["status"] == "accepted"
    assert len((await cloud.want(200, "bob", "GET", "/images?name=offered"))["images"]) == 1
    await cloud.want(200, "bob", "PUT", f"{path}/b", json={"status": "rejected"})
    assert (await cloud.want(200, "bob", "GET", "/images?name=offered"))["images"] == []
    await cloud.want(204, "alice", "DELETE", f"{path}/b")
    await cloud.want(404, "bob", "GET", f"/images/{image['id']}")
    await cloud.want(404, "alice", "DELETE", f"{path}/b")


async def test_each_sees_its_own_part(cloud: Cloud) -> None:
    """The owner sees all members, a member itself, and nobody another member."""
    image = await cloud.make()
    path = f"/images/{image['id']}/members"
    for member in ("b", "c"):
        await cloud.want(200, "alice", "POST", path, json={"member": member})
    for who, members in {"alice": {"b", "c"}, "rita": {"b", "c"}, "root": {"b", "c"}, "bob": {"b"}}.items():
        page = await cloud.want(200, who, "GET", path)
        assert {member["member_id"] for member in page["members"]} == members
    await cloud.want(200, "bob", "GET", f"{path}/b")
    document = await cloud.want(404, "bob", "GET", f"{path}/c")
    assert document["error"]["type"] == "unknown-member"
    await cloud.want(404, "alice", "GET", f"{path}/z")


async def test_who_may_do_which_part(cloud: Cloud) -> None:
    """Only the member answers, only the owner offers and takes back; an admin may do all."""
    image = await cloud.make()
    path = f"/images/{image['id']}/members"
    await cloud.want(403, "rita", "POST", path, json={"member": "b"})
    await cloud.want(200, "alice", "POST", path, json={"member": "b"})
    await cloud.want(409, "alice", "POST", path, json={"member": "b"})
    await cloud.want(403, "alice", "PUT", f"{path}/b", json={"status": "accepted"})
    await cloud.want(403, "rob", "PUT", f"{path}/b", json={"status": "accepted"})
    await cloud.want(403, "bob", "POST", path, json={"member": "c"})
    await cloud.want(403, "bob", "DELETE", f"{path}/b")
    await cloud.want(404, "carl", "PUT", f"{path}/c", json={"status": "accepted"})
    await cloud.want(404, "bob", "PUT", f"/images/{image['id'][::-1]}/members/b", json={"status": "accepted"})
    await cloud.want(200, "root", "PUT", f"{path}/b", json={"status": "accepted"})
    await cloud.want(404, "root", "PUT", f"{path}/z", json={"status": "accepted"})
    await cloud.want(204, "root", "DELETE", f"{path}/b")


async def test_only_shared_images_have_members(cloud: Cloud) -> None:
    """A private image is first made shared; taking that back hides it from its members."""
    image = await cloud.make(visibility="private")
    path = f"/images/{image['id']}"
    document = await cloud.want(403, "alice", "POST", f"{path}/members", json={"member": "b"})
    assert "shared" in document["error"]["message"]
    await cloud.patch(200, "alice", image["id"], {"op": "replace", "path": "/visibility", "value": "shared"})
    await cloud.want(200, "alice", "POST", f"{path}/members", json={"member": "b"})
    await cloud.patch(200, "alice", image["id"], {"op": "replace", "path": "/visibility", "value": "private"})
    await cloud.want(404, "bob", "GET", path)


@pytest.mark.parametrize("body", [{}, {"member": ""}, {"member": 5}, {"member": "x" * 256}, []])
async def test_a_member_is_named(cloud: Cloud, body: object) -> None:
    """Anything else is 400."""
    image = await cloud.make()
    await cloud.want(400, "alice", "POST", f"/images/{image['id']}/members", json=body)


async def test_an_answer_is_one_of_three(cloud: Cloud) -> None:
    """Anything else is 400, whoever asks."""
    image = await cloud.make()
    path = f"/images/{image['id']}/members"
    await cloud.want(200, "alice", "POST", path, json={"member": "b"})
    await cloud.want(400, "bob", "PUT", f"{path}/b", json={"status": "maybe"})


async def test_an_image_has_so_many_members(tmp_path: Path) -> None:
    """At the limit passes, one past it fails."""
    async with Cloud(tmp_path, image_api={"max_members": 1}) as cloud:
        image = await cloud.make()
        path = f"/images/{image['id']}/members"
        await cloud.want(200, "alice", "POST", path, json={"member": "b"})
        document = await cloud.want(413, "alice", "POST", path, json={"member": "c"})
        assert document["error"]["type"] == "quota-exceeded"
