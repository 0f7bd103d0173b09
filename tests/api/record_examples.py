"""Record the examples of the API document from a real service: `python -m tests.api.record_examples`.

What differs from run to run (ids, times, ports, rates) is replaced by fixed values, and long lists and
tables are cut to their first entries, so that a reader sees the form and a diff shows what changed.
"""

import asyncio
import hashlib
import json
import re
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from fetcher.api.auth.identity import hash_token
from fetcher.api.image_v2.resources.patch import NEW, OLD
from fetcher.api.openapi.examples import RECORDED, RECORDED_BASE
from fetcher.api.submit.imports import METALINK_TYPE
from tests.images import qcow2
from tests.lab import behaviours
from tests.lab.catalogue import manager
from tests.lab.origin import Origin
from tests.service import Running

JSON = "application/json"
METALINK = """<?xml version="1.0" encoding="UTF-8"?>
<metalink xmlns="urn:ietf:params:xml:ns:metalink">
 <file name="disk.qcow2"><url>{url}</url></file>
</metalink>
"""
MOMENT = "2026-11-22T17:00:00Z"
VOLATILE = {"bytes_per_second": 52428800, "seconds_left": 3.0, "percent": 50.0, "receiving_seconds": 0.1}
MAX_ENTRIES, SHOWN_ENTRIES = 12, 2
PROJECTS = {"mine": ("acme", ["member", "admin"]), "friends": ("friend", ["member"])}
AUTH = {
    "mode": "tokens",
    "tokens": [
        {"sha256": hash_token(token), "project": project, "user": f"{project}-user", "roles": roles}
        for token, (project, roles) in PROJECTS.items()
    ],
}

RECEIVERS = {"receivers": ["127.0.0.1"], "attempts": 1}


class Recorder:
    """Makes requests, and keeps what was sent and answered under the operation's method and path."""

    def __init__(self, service: Running) -> None:
        self._service = service
        self.found: dict[str, dict[str, Any]] = {}

    async def take(
        self, method: str, path: str, body: Any = None, *, media: str = JSON, token: str = "mine", **more: Any
    ) -> Any:
        """Make one request; keyword arguments with the names of the path's parameters fill it in."""
        names = [name for name in re.findall(r"\{(\w+)\}", path) if name in more]
        inserted = {name: more.pop(name) for name in names}
        headers = {"X-Auth-Token": token, **more.pop("headers", {})}
        if body is not None:
            more["data"] = body if isinstance(body, bytes) else json.dumps(body).encode()
            headers["Content-Type"] = media
        status, answer, _ = await self._service.call(
            method, path.format(**inserted), headers=headers, allow_redirects=False, **more
        )
        example = self.found.setdefault(f"{method} {path}", {})
        if inserted:
            example["path"] = inserted
        if body is not None and not isinstance(body, bytes):
            example.setdefault("request", {})[media] = body
        if answer != "" and "octet" not in media:
            example.setdefault("responses", {})[str(status)] = answer
        else:
            example.setdefault("responses", {}).setdefault(str(status), None)
        return answer


async def record(folder: Path) -> dict[str, dict[str, Any]]:
    """Make every request of the document once; returns what was sent and answered."""
    routes = {
        "/disk.qcow2": behaviours.serve(qcow2()),
        "/slow.qcow2": behaviours.silent(),
        "/taken": behaviours.serve(b""),
    }
    async with (
        Origin(routes) as origin,
        Running(
            folder,
            origin,
            auth=AUTH,
            image_api={"locations": True},
            exports=RECEIVERS,
            links={"enabled": True},
            publish={"enabled": True, "cache_seconds": 0.001},
            catalogue={"sources": [catalogue(folder)]},
        ) as service,
    ):
        recorder = Recorder(service)
        await discovery(recorder)
        await imports(recorder, service, origin)
        await images(recorder, service, origin)
        await definitions(recorder)
        await names(recorder)
        return tidy(recorder.found, service.base, origin.url("/").rstrip("/"))


async def discovery(recorder: Recorder) -> None:
    """Ask for everything that is there before the first import."""
    for path in ("/", "/versions", "/versions/", "/v2", "/v2/"):
        await recorder.take("GET", path)
    for path in ("/healthz", "/readyz", "/healthcheck", "/metrics", "/openapi.json", "/errors", "/limits"):
        await recorder.take("GET", path)
    await recorder.take("GET", "/errors/{code}", code="checksum-mismatch")
    await recorder.take("OPTIONS", "/imports")
    for path in ("import", "stores", "stores/detail", "usage"):
        await recorder.take("GET", f"/v2/info/{path}")
    await recorder.take("GET", "/v2/schemas/{name}", name="image")
    await recorder.take("GET", "/v2/schemas/metadefs/{name}", name="tag")
    await recorder.take("POST", "/v2/tasks", {"type": "import"})
    recorder.found["POST /v2/tasks"].pop("request")  # The document names no body: none is taken.
    for method, path in (
        *(("GET", "cache"), ("GET", "cache/"), ("DELETE", "cache"), ("DELETE", "cache/")),
        *(("POST", "cache/clean"), ("POST", "cache/prune"), ("PUT", "cache/{id}"), ("DELETE", "cache/{id}")),
        *(("GET", "cache/nodes/{id}"), ("GET", "cached_images"), ("DELETE", "cached_images")),
        *(("DELETE", "cached_images/{id}"), ("GET", "queued_images"), ("DELETE", "queued_images")),
        *(("PUT", "queued_images/{id}"), ("DELETE", "queued_images/{id}")),
    ):
        more = {"id": "4f5c6b4e-94a0-4f42-9d0c-0d4c5b1a8a11"} if "{id}" in path else {}
        await recorder.take(method, f"/v2/{path}", **more)


async def imports(recorder: Recorder, service: Running, origin: Origin) -> None:
    """Probe, submit, follow and cancel."""
    submission = {
        "url": origin.url("/disk.qcow2"),
        "name": "disk",
        "disk_format": "qcow2",
        "checksum": f"sha256:{hashlib.sha256(qcow2()).hexdigest()}",
        "tags": ["ci"],
    }
    await recorder.take("POST", "/imports/probe", {"url": submission["url"]})
    created = await recorder.take("POST", "/imports", submission)
    events = await recorder.take("GET", "/imports/{id}/events", id=created["id"])
    shown = events.split("\r\n\r\n")[-2].replace("\r\n", "\n")
    recorder.found["GET /imports/{id}/events"]["responses"]["200"] = shown
    await recorder.take("GET", "/imports/{id}/events", id=created["id"], headers={"Last-Event-ID": "end"})
    await recorder.take("GET", "/imports/{id}", id=created["id"])
    await recorder.take("GET", "/imports/{id}/provenance", id=created["id"])
    await recorder.take("GET", "/imports/{id}/attestation", id=created["id"])
    await recorder.take("GET", "/v2/images/{id}/attestation", id=created["image_id"])
    await recorder.take("GET", "/imports")
    slow = (await recorder.take("POST", "/imports", {**submission, "url": origin.url("/slow.qcow2")}))["id"]
    await recorder.take("DELETE", "/imports/{id}", id=slow)
    await recorder.take(
        "POST", "/imports", METALINK.format(url=origin.url("/disk.qcow2")).encode(), media=METALINK_TYPE
    )
    recorder.found["POST /imports"]["request"] = {
        JSON: submission,
        METALINK_TYPE: METALINK.format(url="https://example.org/disk.qcow2"),
    }
    recorder.found["POST /imports"]["responses"]["202"] = created
    await exports(recorder, origin, created["image_id"])


async def exports(recorder: Recorder, origin: Origin, image_id: str) -> None:
    """Send an image to somebody who takes it, and to somebody who is silent."""
    sent = {
        "image": image_id,
        "url": origin.url("/taken?sig=secret"),
        "headers": {"x-ms-blob-type": "BlockBlob"},
        "verify": True,
    }
    created = await recorder.take("POST", "/exports", sent)
    events = await recorder.take("GET", "/exports/{id}/events", id=created["id"])
    shown = events.split("\r\n\r\n")[-2].replace("\r\n", "\n")
    recorder.found["GET /exports/{id}/events"]["responses"]["200"] = shown
    await recorder.take("GET", "/exports/{id}/events", id=created["id"], headers={"Last-Event-ID": "end"})
    await recorder.take("GET", "/exports/{id}", id=created["id"])
    await recorder.take("GET", "/exports")
    silent = {**sent, "url": origin.url("/slow.qcow2")}
    slow = (await recorder.take("POST", "/exports", silent))["id"]
    await recorder.take("DELETE", "/exports/{id}", id=slow)
    recorder.found["POST /exports"]["request"] = {JSON: sent}
    recorder.found["POST /exports"]["responses"]["202"] = created


async def images(recorder: Recorder, service: Running, origin: Origin) -> None:
    """Make images by every way of the Image API, and change, share and delete them."""
    take, new = recorder.take, {"name": "disk", "disk_format": "qcow2", "container_format": "bare"}
    one = (await take("POST", "/v2/images", new))["id"]
    web = {"method": {"name": "web-download", "uri": origin.url("/disk.qcow2")}}
    await take("POST", "/v2/images/{id}/import", web, id=one)
    task = (await take("GET", "/v2/images/{id}/tasks", id=one))["tasks"][0]["id"]
    async with service.client.get(f"/imports/{task}/events", headers={"X-Auth-Token": "mine"}) as events:
        await events.read()
    await take("GET", "/v2/images/{id}/tasks", id=one)
    await take("GET", "/v2/tasks")
    await take("GET", "/v2/tasks/{id}", id=task)
    await take(
        "PATCH", "/v2/images/{id}", [{"op": "replace", "path": "/name", "value": "server"}], media=NEW, id=one
    )
    await take("PATCH", "/v2/images/{id}", [{"replace": "/visibility", "value": "shared"}], media=OLD, id=one)
    await take("PUT", "/v2/images/{id}/tags/{tag}", id=one, tag="stable")
    await take("DELETE", "/v2/images/{id}/tags/{tag}", id=one, tag="stable")
    await take("GET", "/v2/images")
    await take("GET", "/v2/images/{id}", id=one)
    await take("POST", "/v2/images/{id}/members", {"member": "friend"}, id=one)
    await take("GET", "/v2/images/{id}/members", id=one)
    member = "/v2/images/{id}/members/{member}"
    await take("PUT", member, {"status": "accepted"}, token="friends", id=one, member="friend")
    await take("GET", member, id=one, member="friend")
    await take("DELETE", member, id=one, member="friend")
    await links(recorder, one)
    await published(recorder, one)
    for verb in ("deactivate", "reactivate"):
        await take("POST", f"/v2/images/{{id}}/actions/{verb}", id=one)
    for way in ("file", "stage", "locations"):
        other = (await take("POST", "/v2/images", new))["id"]
        if way == "locations":
            await take("GET", "/v2/images/{id}/locations", id=one)
            await take("POST", "/v2/images/{id}/locations", {"url": origin.url("/disk.qcow2")}, id=other)
        else:
            await take("PUT", f"/v2/images/{{id}}/{way}", qcow2(), media="application/octet-stream", id=other)
    recorder.found["GET /v2/images/{id}/file"] = {"path": {"id": one}}
    await take("DELETE", "/v2/images/{id}", id=one)


def catalogue(folder: Path) -> dict[str, Any]:
    """Make a catalogue in a file; its source comes back."""
    file = folder / "debian.yml"
    file.write_bytes(manager("https://example.org/debian-13.raw", b"disk"))
    return {"name": "osism", "kind": "image-manager", "url": str(file)}


async def names(recorder: Recorder) -> None:
    """Find an image by name, keep another one new, and ask for the keys."""
    await recorder.take("GET", "/keys")
    await recorder.take("GET", "/keys/{id}", id="current")
    await recorder.take("GET", "/catalogue")
    body = {"catalogue": "nobody:1.0", "name": "debian", "keep": 3}
    made = (await recorder.take("POST", "/schedules", body))["id"]
    await recorder.take("PATCH", "/schedules/{id}", {"keep": 5}, id=made)
    patched = recorder.found["PATCH /schedules/{id}"]
    patched["request"]["application/merge-patch+json"] = patched["request"][JSON]
    await recorder.take("POST", "/schedules/{id}/run", id=made)
    created = recorder.found["POST /schedules"]["responses"]["201"]
    recorder.found["GET /schedules"] = {"responses": {"200": {"schedules": [created]}}}
    recorder.found["GET /schedules/{id}"] = {"path": {"id": made}, "responses": {"200": created}}
    recorder.found["POST /schedules/{id}/run"]["responses"]["202"] = created
    patched["responses"]["200"] = {**created, "keep": 5}
    await recorder.take("DELETE", "/schedules/{id}", id=made)


async def links(recorder: Recorder, image_id: str) -> None:
    """Make a link, and show it with a signature that is the same each time."""
    made = await recorder.take("POST", "/images/{id}/links", {"seconds": 3600}, id=image_id)
    shown = {"expires": "1795370400", "key": "5f6c4b8e9a1d", "signature": "ab" * 32}
    made["url"] = f"{made['url'].partition('?')[0]}?{urlencode(shown)}"
    fetched = {"path": {"id": image_id}, "responses": {"200": None, "206": None, "304": None}}
    recorder.found["GET /images/{id}/file"] = fetched


async def published(recorder: Recorder, image_id: str) -> None:
    """Publish an image, and ask for the lists as a stranger does."""
    change = [{"op": "replace", "path": "/visibility", "value": "public"}]
    await recorder.take("PATCH", "/v2/images/{id}", change, media=NEW, id=image_id)
    listed = await recorder.take("GET", "/streams/v1/{name}", name="index.json")
    listed["updated"] = "Sun, 22 Nov 2026 17:00:00 +0000"
    await recorder.take("GET", "/streams/images/{id}.meta4", id=image_id)
    fetched = {"path": {"id": image_id, "name": "disk.qcow2"}, "responses": {"200": None, "206": None}}
    recorder.found["GET /streams/images/{id}/{name}"] = fetched


async def definitions(recorder: Recorder) -> None:
    """Make a namespace with everything in it, change it, and take it apart."""
    take, space = recorder.take, {"namespace": "OS::Compute::Disk"}
    base = "/v2/metadefs/namespaces"
    of = f"{base}/{{namespace}}"
    await take("POST", base, {**space, "display_name": "Disk", "visibility": "public"})
    await take("PUT", of, {**space, "display_name": "Disks", "visibility": "public"}, **space)
    await take("POST", f"{of}/resource_types", {"name": "OS::Glance::Image", "prefix": "hw_"}, **space)
    await take("GET", f"{of}/resource_types", **space)
    await take("GET", "/v2/metadefs/resource_types")
    bus = {"name": "disk_bus", "title": "Disk bus", "type": "string", "enum": ["scsi", "virtio"]}
    group = {"name": "disk", "description": "How the disk is attached.", "properties": {}}
    for kind, body in (("properties", bus), ("objects", group)):
        await take("POST", f"{of}/{kind}", body, **space)
        await take("GET", f"{of}/{kind}", **space)
        await take("GET", f"{of}/{kind}/{{name}}", **space, name=body["name"])
        await take("PUT", f"{of}/{kind}/{{name}}", body, **space, name=body["name"])
    await take("POST", f"{of}/tags", {"tags": [{"name": "fast"}]}, **space)
    await take("POST", f"{of}/tags/{{name}}", **space, name="slow")
    await take("PUT", f"{of}/tags/{{name}}", {"name": "steady"}, **space, name="slow")
    await take("GET", f"{of}/tags/{{name}}", **space, name="fast")
    await take("GET", f"{of}/tags", **space)
    await take("GET", base)
    await take("GET", of, **space)
    for kind, name in (("properties", "disk_bus"), ("objects", "disk"), ("tags", "fast")):
        await take("DELETE", f"{of}/{kind}/{{name}}", **space, name=name)
        await take("DELETE", f"{of}/{kind}", **space)
    await take("DELETE", f"{of}/resource_types/{{name}}", **space, name="OS::Glance::Image")
    await take("DELETE", of, **space)


def tidy(found: dict[str, dict[str, Any]], base: str, origin: str) -> dict[str, dict[str, Any]]:
    """Replace what differs from run to run, and cut what is long."""
    found["GET /openapi.json"]["responses"]["200"] = {
        key: value
        for key, value in found["GET /openapi.json"]["responses"]["200"].items()
        if key in {"openapi", "servers"}
    }
    found["GET /"]["responses"]["200"] = "<!DOCTYPE html>"
    found["GET /healthcheck"]["responses"]["503"] = "the disk is full"
    found["GET /readyz"]["responses"]["503"] = {"status": "not ready", "reasons": ["the disk is full"]}
    metrics = found["GET /metrics"]["responses"]["200"].splitlines(keepends=True)
    found["GET /metrics"]["responses"]["200"] = "".join(metrics[:6])
    text = json.dumps(shortened(found), indent=1, ensure_ascii=False, sort_keys=True)
    text = text.replace(base, RECORDED_BASE).replace(origin, "https://example.org")
    text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)", MOMENT, text)
    ids: dict[str, str] = {}
    one = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
    text = re.sub(
        one, lambda hit: ids.setdefault(hit[0], f"{len(ids) + 1:08x}-94a0-4f42-9d0c-0d4c5b1a8a11"), text
    )
    for key, value in VOLATILE.items():
        text = re.sub(rf'("{key}"|\\"{key}\\"): ?[0-9.]+', rf"\1: {value}", text)
    tidied: dict[str, dict[str, Any]] = json.loads(text)
    return tidied


def shortened(value: Any) -> Any:
    """Cut long lists, and long tables whose entries are all alike."""
    if isinstance(value, list):
        return [shortened(one) for one in value[:SHOWN_ENTRIES]]
    if isinstance(value, dict):
        is_table = len(value) > MAX_ENTRIES and all(isinstance(one, dict) for one in value.values())
        is_ours = any(" /" in key for key in value)
        kept = [*value][:SHOWN_ENTRIES] if is_table and not is_ours else [*value]
        return {key: shortened(value[key]) for key in kept}
    return value


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        examples = asyncio.run(record(Path(place)))
    RECORDED.write_text(json.dumps(examples, indent=1, ensure_ascii=False, sort_keys=True) + "\n")
