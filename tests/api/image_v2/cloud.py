"""The service with two projects and three roles, and short ways to call its Image API."""

import hashlib
import io
from pathlib import Path
from typing import Any

from fetcher.api.auth.identity import hash_token
from tests.images import raw
from tests.lab.origin import Origin
from tests.service import Running

# Who there is: name, project, roles.
PEOPLE = {
    "alice": ("a", ["member"]),
    "rita": ("a", ["reader"]),
    "bob": ("b", ["member"]),
    "rob": ("b", ["reader"]),
    "carl": ("c", ["member"]),
    "root": ("ops", ["admin"]),
}
TOKENS = [
    {"sha256": hash_token(f"token of {name}"), "project": project, "user": name, "roles": roles}
    for name, (project, roles) in PEOPLE.items()
]
OCTETS = {"Content-Type": "application/octet-stream"}
PATCH = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
OLD_PATCH = {"Content-Type": "application/openstack-images-v2.0-json-patch"}

DISK = raw(3000)

Answer = tuple[int, Any, dict[str, str]]


class Cloud(Running):
    """A running service that asks for tokens."""

    def __init__(self, folder: Path, *origins: Origin, **sections: dict[str, Any]) -> None:
        auth = {"mode": "tokens", "tokens": TOKENS}
        super().__init__(folder, *origins, **{"auth": auth, **sections})

    async def ask(self, who: str, method: str, path: str, **options: Any) -> Answer:
        """Call the Image API as somebody; `path` is below `/v2`."""
        headers = {"X-Auth-Token": f"token of {who}", **options.pop("headers", {})}
        return await self.call(method, f"/v2{path}", headers=headers, **options)

    async def want(self, status: int, who: str, method: str, path: str, **options: Any) -> Any:
        """Call, insist on a status, and give the document."""
        got, document, _headers = await self.ask(who, method, path, **options)
        assert got == status, f"{method} {path} as {who}: {got} {document}"
        return document

    async def make(self, who: str = "alice", **attributes: Any) -> dict[str, Any]:
        """Make an image record."""
        attributes = {"disk_format": "raw", "container_format": "bare"} | attributes
        return dict(await self.want(201, who, "POST", "/images", json=attributes))

    async def make_active(self, body: bytes = DISK, who: str = "alice", **attributes: Any) -> Any:
        """Make an image with bytes."""
        image = await self.make(who, **attributes)
        await self.want(204, who, "PUT", f"/images/{image['id']}/file", data=io.BytesIO(body), headers=OCTETS)
        return await self.want(200, who, "GET", f"/images/{image['id']}")

    async def fetch(self, who: str, image_id: str, **headers: str) -> tuple[int, bytes, dict[str, str]]:
        """Fetch an image's bytes."""
        fields = {"X-Auth-Token": f"token of {who}", **{k.replace("_", "-"): v for k, v in headers.items()}}
        async with self.client.get(f"/v2/images/{image_id}/file", headers=fields) as answer:
            found = {name.lower(): value for name, value in answer.headers.items()}
            return answer.status, await answer.read(), found

    async def patch(self, status: int, who: str, image_id: str, *changes: dict[str, Any]) -> Any:
        """Change an image in the new form."""
        return await self.want(status, who, "PATCH", f"/images/{image_id}", json=list(changes), headers=PATCH)

    async def settled(self, image_id: str, who: str = "alice") -> dict[str, Any]:
        """Follow the newest import of an image to its end, and give it as a task."""
        tasks = (await self.want(200, who, "GET", f"/images/{image_id}/tasks"))["tasks"]
        async for name, _document in self.events(tasks[0]["id"], headers={"X-Auth-Token": f"token of {who}"}):
            if name == "end":
                break
        return dict((await self.want(200, who, "GET", f"/images/{image_id}/tasks"))["tasks"][0])


def digests(body: bytes) -> dict[str, Any]:
    """What a record shows of its bytes."""
    return {
        "checksum": hashlib.md5(body).hexdigest(),
        "os_hash_algo": "sha512",
        "os_hash_value": hashlib.sha512(body).hexdigest(),
        "size": len(body),
    }
