"""Carrying an image over: its record, its bytes through the server's own import, its members."""

from collections.abc import Callable
from typing import Any

from fetcher.cli.adopt.origin import find
from fetcher.cli.adopt.plan import BYTES, Action, Step, attributes, has_same_bytes
from fetcher.cli.client import Client, Refused, segment
from fetcher.cli.server.remote import changes

PATCH = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
MISSING_REMOTE = "remote-unknown"
Show = Callable[[dict[str, Any]], None]


class ImageNotMoved(Exception):
    """An image was not carried over.

    Args:
        code: Of the table of errors, where the server gave one.
        words: The verdict.
    """

    def __init__(self, code: str, words: str) -> None:
        super().__init__(words)
        self.code = code


def carry(client: Client, step: Step, region: str, show: Show) -> None:
    """Do what a step says; what is there already is left as it is.

    Raises:
        ImageNotMoved: It did not go well; a later run goes on from there.
        Unreachable: The server is gone.
    """
    path = f"/v2/images/{segment(step.image['id'])}"
    try:
        if step.action in {Action.CARRY, Action.RECORD}:
            client.call("POST", "/v2/images", attributes(step.image))
        elif step.changes:
            client.call("PATCH", path, _patch(step.changes), PATCH)
        if step.action in BYTES:
            _import(client, step, region, show)
        for member, status in step.new_members.items():
            _share(client, path, member, status)
    except Refused as error:
        raise ImageNotMoved(error.code, str(error)) from error


def _patch(wanted: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the changes as a JSON patch; `add` also replaces (RFC 6902 section 4.1)."""
    return [
        {"op": "add", "path": f"/{name.replace('~', '~0').replace('/', '~1')}", "value": value}
        for name, value in wanted.items()
    ]


def _import(client: Client, step: Step, region: str, show: Show) -> None:
    """Have the server fetch the bytes, or follow it where it does so already."""
    image_id = step.image["id"]
    path = f"/v2/images/{segment(image_id)}"
    if client.get(path)["status"] == "queued":
        method = {"name": "glance-download", "glance_region": region, "glance_image_id": image_id}
        client.call("POST", f"{path}/import", {"method": method})
    task = client.get(f"{path}/tasks")["tasks"][0]["id"]
    document = client.get(f"/imports/{segment(task)}")
    for newer in changes(client, task):
        document = newer
        show(document)
    if document["state"] != "succeeded":
        verdict = document.get("verdict") or {}
        raise ImageNotMoved(verdict.get("code", document["state"]), verdict.get("title", document["state"]))
    here = client.get(path)
    if not has_same_bytes(step.image, here) and not came_from(client, step.image):
        client.call("POST", f"{path}/actions/deactivate")
        words = f"The bytes of remote {region} are not those that were listed; the image here is deactivated."
        raise ImageNotMoved("checksum-mismatch", words)


def came_from(client: Client, image: dict[str, Any]) -> bool:
    """Return whether the bytes here were checked against the origin's digest when they came.

    Records here show SHA-512; that another algorithm's promise was kept stands in the provenance.
    """
    expected = f"{image.get('os_hash_algo')}:{image.get('os_hash_value')}"
    for task in client.get(f"/v2/images/{segment(image['id'])}/tasks")["tasks"]:
        path = f"/imports/{segment(task['id'])}/provenance"
        story = find(client, path) if task["status"] == "success" else None
        if story is not None and story["submitted"].get("checksum") == expected:
            return True
    return False


def _share(client: Client, path: str, member: str, status: str) -> None:
    if find(client, f"{path}/members/{segment(member)}") is None:
        client.call("POST", f"{path}/members", {"member": member})
    if status != "pending":
        client.call("PUT", f"{path}/members/{segment(member)}", {"status": status})
