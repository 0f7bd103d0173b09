"""Image records: created, shown, changed, deleted; what is not theirs to write is refused."""

from typing import Any
from uuid import uuid4

import jsonschema
import pytest

from tests.api.image_v2.cloud import DISK, OLD_PATCH, Cloud, digests
from tests.images import raw

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_record_shows_what_the_reference_shows(cloud: Cloud) -> None:
    """All attributes are there from the start; custom properties stand at the top level."""
    status, image, headers = await cloud.ask(
        "alice",
        "POST",
        "/images",
        json={
            "name": "disk",
            "disk_format": "qcow2",
            "container_format": "bare",
            "tags": ["b", "a", "a"],
            "os": "x",
        },
    )
    assert status == 201
    assert headers["location"] == f"{cloud.base}/v2/images/{image['id']}"
    assert headers["openstack-image-import-methods"] == "glance-direct,web-download"
    assert image == {
        "id": image["id"],
        "name": "disk",
        "status": "queued",
        "visibility": "shared",
        "protected": False,
        "os_hidden": False,
        "owner": "a",
        "disk_format": "qcow2",
        "container_format": "bare",
        "size": None,
        "virtual_size": None,
        "checksum": None,
        "os_hash_algo": None,
        "os_hash_value": None,
        "min_disk": 0,
        "min_ram": 0,
        "tags": ["a", "b"],
        "created_at": image["created_at"],
        "updated_at": image["created_at"],
        "self": f"/v2/images/{image['id']}",
        "file": f"/v2/images/{image['id']}/file",
        "schema": "/v2/schemas/image",
        "os": "x",
    }
    assert image == await cloud.want(200, "alice", "GET", f"/images/{image['id']}")
    jsonschema.validate(image, await cloud.want(200, "alice", "GET", "/schemas/image"))


async def test_an_active_record_has_the_digests_of_its_bytes(cloud: Cloud) -> None:
    """What clients verify a download with, and the store that the record is in."""
    image = await cloud.make_active(DISK)
    assert image.items() >= (digests(DISK) | {"status": "active", "stores": "fs"}).items()
    jsonschema.validate(image, await cloud.want(200, "alice", "GET", "/schemas/image"))


async def test_ids_may_be_chosen_once(cloud: Cloud) -> None:
    """An id that stood for bytes never stands for others, not even when the image is gone (OSSN-0075)."""
    chosen = str(uuid4())
    assert (await cloud.make_active(id=chosen))["id"] == chosen
    await cloud.want(409, "bob", "POST", "/images", json={"id": chosen})
    await cloud.want(204, "alice", "DELETE", f"/images/{chosen}")
    await cloud.want(409, "bob", "POST", "/images", json={"id": chosen})
    without_bytes = await cloud.make()
    await cloud.want(204, "alice", "DELETE", f"/images/{without_bytes['id']}")
    assert (await cloud.make(id=without_bytes["id"]))["id"] == without_bytes["id"]


REFUSED: dict[str, tuple[dict[str, Any], int, str]] = {
    "unknown disk format": ({"disk_format": "wrong"}, 400, "accepted are"),
    "unknown container format": ({"container_format": "wrong"}, 400, "accepted are"),
    "property that is no text": ({"os": 5}, 400, "os: expected str"),
    "property without a name": ({"": "x"}, 400, "1 to 255"),
    "property with a long name": ({"x" * 256: "x"}, 400, "1 to 255"),
    "id that is no UUID": ({"id": "x"}, 400, "UUID"),
    "negative memory": ({"min_ram": -1}, 400, "min_ram"),
    "long tag": ({"tags": ["x" * 256]}, 400, "tags"),
    "visibility that is none": ({"visibility": "open"}, 400, "visibility"),
    "read-only attribute": ({"checksum": "x"}, 403, "read-only"),
    "read-only status": ({"status": "active"}, 403, "read-only"),
    "locations": ({"locations": []}, 403, "read-only"),
    "reserved name": ({"os_glance_foo": "x"}, 403, "reserved"),
    "deleted": ({"deleted": "x"}, 403, "reserved"),
    "somebody else's": ({"owner": "b"}, 403, "admin"),
    "public": ({"visibility": "public"}, 403, "admin"),
    "too many tags": ({"tags": [str(n) for n in range(129)]}, 413, "128"),
    "too many properties": ({f"p{n}": "x" for n in range(129)}, 413, "128"),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_may_not_be_set_is_refused_with_the_reason(cloud: Cloud, name: str) -> None:
    """The message names the attribute or the rule; nothing is made."""
    attributes, status, words = REFUSED[name]
    marker = uuid4().hex
    document = await cloud.want(status, "alice", "POST", "/images", json={"name": marker, **attributes})
    assert words in document["error"]["message"]
    assert (await cloud.want(200, "alice", "GET", f"/images?name={marker}"))["images"] == []


async def test_limits_are_met_exactly(cloud: Cloud) -> None:
    """At the limit passes."""
    image = await cloud.make(tags=[str(n) for n in range(128)], **{f"p{n}": "x" for n in range(128)})
    await cloud.patch(413, "alice", image["id"], {"op": "add", "path": "/one_more", "value": "x"})
    await cloud.want(413, "alice", "PUT", f"/images/{image['id']}/tags/one-more")


async def test_an_admin_gives_images_away_and_publishes(cloud: Cloud) -> None:
    """What a member may not, an admin may."""
    image = await cloud.make("root", owner="a", visibility="public")
    assert (image["owner"], image["visibility"]) == ("a", "public")
    changed = await cloud.patch(200, "root", image["id"], {"op": "replace", "path": "/owner", "value": "b"})
    assert changed["owner"] == "b"


async def test_changes_in_both_forms(cloud: Cloud) -> None:
    """The old media type is what old clients still send."""
    image = await cloud.make(colour="green")
    changed = await cloud.patch(
        200,
        "alice",
        image["id"],
        {"op": "replace", "path": "/name", "value": "new"},
        {"op": "add", "path": "/a~1b", "value": "slash"},
        {"op": "remove", "path": "/colour"},
        {"op": "replace", "path": "/tags", "value": ["t"]},
        {"op": "replace", "path": "/min_disk", "value": 3},
    )
    assert (changed["name"], changed["a/b"], changed["tags"], changed["min_disk"]) == (
        "new",
        "slash",
        ["t"],
        3,
    )
    assert "colour" not in changed
    old = [{"replace": "/name", "value": "old"}, {"add": "/size_class", "value": "s"}, {"remove": "/a~1b"}]
    path = f"/images/{image['id']}"
    changed = await cloud.want(200, "alice", "PATCH", path, json=old, headers=OLD_PATCH)
    assert (changed["name"], changed["size_class"], "a/b" in changed) == ("old", "s", False)
    assert changed["updated_at"] >= image["updated_at"]
    assert await cloud.patch(200, "alice", image["id"]) == changed


async def test_a_patch_is_all_or_nothing(cloud: Cloud) -> None:
    """A refused operation takes the ones before it back."""
    image = await cloud.make()
    await cloud.patch(
        409,
        "alice",
        image["id"],
        {"op": "replace", "path": "/name", "value": "new"},
        {"op": "replace", "path": "/missing", "value": "x"},
    )
    assert (await cloud.want(200, "alice", "GET", f"/images/{image['id']}"))["name"] is None


async def test_formats_are_fixed_once_there_are_bytes(cloud: Cloud) -> None:
    """What the bytes are was found out from them."""
    image = await cloud.make_active()
    document = await cloud.patch(
        403, "alice", image["id"], {"op": "replace", "path": "/disk_format", "value": "qcow2"}
    )
    assert "queued" in document["error"]["message"]


async def test_a_protected_image_is_not_deleted(cloud: Cloud) -> None:
    """Until somebody takes the protection away."""
    image = await cloud.make(protected=True)
    await cloud.want(403, "alice", "DELETE", f"/images/{image['id']}")
    await cloud.patch(200, "alice", image["id"], {"op": "replace", "path": "/protected", "value": False})
    await cloud.want(204, "alice", "DELETE", f"/images/{image['id']}")
    await cloud.want(404, "alice", "DELETE", f"/images/{image['id']}")
    await cloud.want(404, "alice", "GET", f"/images/{image['id']}")


async def test_deletion_leaves_nothing(cloud: Cloud) -> None:
    """Equal bytes of another image stay; the last one takes them along."""
    first, second = await cloud.make_active(raw(2000, 7)), await cloud.make_active(raw(2000, 7))
    before = cloud.traces()
    await cloud.want(204, "alice", "DELETE", f"/images/{first['id']}")
    assert cloud.traces() == before
    await cloud.want(204, "alice", "DELETE", f"/images/{second['id']}")
    assert len(cloud.traces()) == len(before) - 1


async def test_an_empty_id_is_no_list(cloud: Cloud) -> None:
    """`/v2/images/` names an image without an id: there is none."""
    for method in ("GET", "DELETE"):
        document = await cloud.want(404, "alice", method, "/images/")
        assert document["error"]["code"] == 404


async def test_deactivation_is_for_images_with_bytes(cloud: Cloud) -> None:
    """Twice is once; a queued image has nothing to deactivate."""
    image = await cloud.make_active()
    for action, status in (("deactivate", "deactivated"), ("reactivate", "active")):
        for _ in range(2):
            await cloud.want(204, "alice", "POST", f"/images/{image['id']}/actions/{action}")
            assert (await cloud.want(200, "alice", "GET", f"/images/{image['id']}"))["status"] == status
    queued = await cloud.make()
    await cloud.want(403, "alice", "POST", f"/images/{queued['id']}/actions/deactivate")


async def test_tags_one_at_a_time(cloud: Cloud) -> None:
    """Put twice is once; what is not there cannot be removed."""
    image = await cloud.make()
    for tag in ("x", "x", "a%2Fb", "a%20b"):
        await cloud.want(204, "alice", "PUT", f"/images/{image['id']}/tags/{tag}")
    assert (await cloud.want(200, "alice", "GET", f"/images/{image['id']}"))["tags"] == ["a b", "a/b", "x"]
    await cloud.want(204, "alice", "DELETE", f"/images/{image['id']}/tags/x")
    await cloud.want(404, "alice", "DELETE", f"/images/{image['id']}/tags/x")
    await cloud.want(404, "alice", "PUT", f"/images/{uuid4()}/tags/x")
