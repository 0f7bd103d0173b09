"""Small things that clients of Glance rely on, each as Glance does it."""

import asyncio
import io
import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import structlog
from yarl import URL

from tests.api.image_v2.cloud import DISK, OCTETS, OLD_PATCH, PATCH, Cloud
from tests.images import qcow2
from tests.lab.behaviours import gated, serve
from tests.lab.origin import Origin

pytestmark = pytest.mark.asyncio(loop_scope="module")

SIZE = "X-OpenStack-Image-Size"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def chunks(body: bytes) -> Any:
    yield body


async def send(cloud: Cloud, image: str, what: str, body: bytes, **fields: str) -> tuple[int, Any]:
    headers = {**OCTETS, **{name.replace("_", "-"): value for name, value in fields.items()}}
    path = f"/images/{image}/{what}"
    status, document, _fields = await cloud.ask("alice", "PUT", path, data=chunks(body), headers=headers)
    return status, document


@pytest.mark.parametrize("what", ["file", "stage"])
@pytest.mark.parametrize("size", [len(DISK) + 1, len(DISK) - 1, 1_000_000])
async def test_a_declared_size_is_held_against_the_body(cloud: Cloud, what: str, size: int) -> None:
    """A chunked body of another length than X-OpenStack-Image-Size is 400, and the image waits again."""
    image = await cloud.make()
    status, document = await send(cloud, image["id"], what, DISK, X_OpenStack_Image_Size=str(size))
    assert (status, document["error"]["code"]) == (400, 400)
    assert (await cloud.want(200, "alice", "GET", f"/images/{image['id']}"))["status"] == "queued"
    assert await send(cloud, image["id"], what, DISK, X_OpenStack_Image_Size=str(len(DISK))) == (204, "")


async def test_a_declared_size_is_judged_before_the_bytes(cloud: Cloud) -> None:
    """A size past the byte cap is 413 at once, what is no number 400; 0 declares nothing."""
    image = await cloud.make()
    for size, status in (("999999999999999", 413), ("x", 400), ("-1", 400), ("1" * 40, 400)):
        assert (await send(cloud, image["id"], "file", DISK, X_OpenStack_Image_Size=size))[0] == status
    assert await send(cloud, image["id"], "file", DISK, X_OpenStack_Image_Size="0") == (204, "")


async def test_a_declared_size_is_held_against_the_quota(tmp_path: Path) -> None:
    """A project without room for the declared bytes is told so before it has sent them."""
    async with Cloud(tmp_path, quota={"max_bytes": 5000}) as cloud:
        image = await cloud.make()
        status, document = await send(cloud, image["id"], "file", DISK, X_OpenStack_Image_Size="6000")
        assert (status, document["error"]["type"]) == (413, "quota-exceeded")


async def test_a_declared_size_is_what_progress_is_measured_by(cloud: Cloud) -> None:
    """A chunked upload that runs tells the declared bytes as its total."""
    image, rest = await cloud.make(), asyncio.Event()

    async def in_two_parts() -> Any:
        yield DISK[:1000]
        await rest.wait()
        yield DISK[1000:]

    headers = {**OCTETS, SIZE: str(len(DISK))}
    path = f"/images/{image['id']}/file"
    upload = asyncio.create_task(cloud.ask("alice", "PUT", path, data=in_two_parts(), headers=headers))
    listed: list[dict[str, Any]] = []
    while not listed or not listed[0]["progress"]["received_bytes"]:
        query, token = f"/imports?image_id={image['id']}", {"X-Auth-Token": "token of alice"}
        listed = (await cloud.get(query, headers=token))["imports"]
    progress = listed[0]["progress"]
    assert (progress["received_bytes"], progress["expected_bytes"]) == (1000, len(DISK))
    rest.set()
    assert (await upload)[0] == 204


async def test_two_lengths_that_differ_are_refused(cloud: Cloud) -> None:
    """Content-Length and X-OpenStack-Image-Size say the same or nothing is taken."""
    image = await cloud.make()
    headers = {**OCTETS, SIZE: "7"}
    document = await cloud.want(
        400, "alice", "PUT", f"/images/{image['id']}/file", data=io.BytesIO(DISK), headers=headers
    )
    assert "Content-Length" in document["error"]["message"]


async def test_words_about_an_upload_are_about_the_upload(cloud: Cloud) -> None:
    """Who sends bytes has no URL to check."""
    image = await cloud.make(disk_format="qcow2")
    status, document = await send(cloud, image["id"], "file", b"")
    assert status == 400
    assert "no bytes" in document["error"]["message"]
    assert "URL" not in document["error"]["message"]
    listed = await cloud.get(f"/imports?image_id={image['id']}", headers={"X-Auth-Token": "token of alice"})
    [record] = listed["imports"]
    assert "no bytes" in record["verdict"]["title"]


async def test_the_operator_says_who_uploads_encrypted_volumes(tmp_path: Path) -> None:
    """A LUKS volume as raw is a matter of `format.encrypted_uploads`; it is never pulled from a URL."""
    luks = b"LUKS\xba\xbe\x00\x02" + bytes(8192)
    async with Cloud(tmp_path) as cloud:
        image = await cloud.make()
        assert (await send(cloud, image["id"], "file", luks))[0] == 400
        cloud.write_config(format={"encrypted_uploads": "everybody"})
        cloud.service.reload()
        assert await send(cloud, image["id"], "file", luks) == (204, "")
        other = await cloud.make(disk_format="qcow2")
        assert (await send(cloud, other["id"], "file", luks))[0] == 400


@pytest.mark.parametrize("what", ["file", "stage"])
async def test_an_unknown_store_is_refused(cloud: Cloud, what: str) -> None:
    """X-Image-Meta-Store names the one store, or the upload is 400."""
    image = await cloud.make()
    status, document = await send(cloud, image["id"], what, DISK, X_Image_Meta_Store="nope")
    assert (status, document["error"]["fields"]["field"]) == (400, "X-Image-Meta-Store")
    assert await send(cloud, image["id"], what, DISK, X_Image_Meta_Store="fs") == (204, "")


ALLOWED = {
    "PUT /v2/images": "GET, HEAD, POST",
    "POST /v2/images/ID": "DELETE, GET, HEAD, PATCH",
    "DELETE /v2/images/ID/file": "GET, HEAD, PUT",
    "PATCH /v2/images/ID/members": "GET, HEAD, POST",
    "POST /v2/images/ID/members/b": "DELETE, GET, HEAD, PUT",
    "GET /v2/images/ID/tags/x": "DELETE, PUT",
    "PUT /v2/tasks": "GET, HEAD, POST",
    "GET /v2/images/ID/import": "POST",
}


@pytest.mark.parametrize("call", ALLOWED)
async def test_405_tells_every_method_of_the_path(cloud: Cloud, call: str) -> None:
    """Allow has the methods of the whole path, not those of the first route."""
    method, path = call.split()
    status, _document, headers = await cloud.call(method, path)
    assert (status, headers["allow"]) == (405, ALLOWED[call])


@pytest.mark.parametrize(
    "name", ["image", "images", "member", "members", "task", "tasks"], ids=lambda name: f"schema {name}"
)
async def test_a_staged_image_has_a_size(cloud: Cloud, name: str) -> None:
    """What waits for glance-direct is counted, and the record still fits its schema."""
    image = await cloud.make()
    assert await send(cloud, image["id"], "stage", DISK) == (204, "")
    shown = await cloud.want(200, "alice", "GET", f"/images/{image['id']}")
    assert (shown["status"], shown["size"]) == ("uploading", len(DISK))
    await cloud.patch(200, "alice", image["id"], {"op": "add", "path": "/name", "value": name})
    assert (await cloud.want(200, "alice", "GET", f"/images/{image['id']}"))["size"] == len(DISK)
    await cloud.want(204, "alice", "DELETE", f"/images/{image['id']}")


async def test_an_import_shows_its_store_and_task(tmp_path: Path) -> None:
    """Clients that wait look at these three properties, which hold ids of stores and of the task."""
    gate = asyncio.Event()
    async with (
        Origin({"/slow": gated(serve(qcow2()), gate), "/bad": serve(b"<html>")}) as origin,
        Cloud(tmp_path, origin, url={"allow_literals": True, "ports": [origin.port]}) as cloud,
    ):
        image = await cloud.make(disk_format="qcow2")
        method = {"name": "web-download", "uri": origin.url("/slow")}
        await cloud.want(202, "alice", "POST", f"/images/{image['id']}/import", json={"method": method})
        shown = await cloud.want(200, "alice", "GET", f"/images/{image['id']}")
        [task] = (await cloud.want(200, "alice", "GET", f"/images/{image['id']}/tasks"))["tasks"]
        assert shown["os_glance_importing_to_stores"] == "fs"
        assert shown["os_glance_import_task"] == task["id"]
        assert shown["os_glance_failed_import"] == ""
        gate.set()
        await cloud.settled(image["id"])
        shown = await cloud.want(200, "alice", "GET", f"/images/{image['id']}")
        assert "os_glance_import_task" not in shown
        failing = await cloud.make(disk_format="qcow2")
        method = {"name": "web-download", "uri": origin.url("/bad")}
        await cloud.want(202, "alice", "POST", f"/images/{failing['id']}/import", json={"method": method})
        await cloud.settled(failing["id"])
        shown = await cloud.want(200, "alice", "GET", f"/images/{failing['id']}")
        assert (shown["os_glance_failed_import"], shown["os_glance_importing_to_stores"]) == ("fs", "")
        assert shown["os_glance_failed_import_reason"].startswith("format-")


async def test_a_new_image_says_where_it_is(cloud: Cloud) -> None:
    """Location is absolute; stores and import methods are named beside it."""
    status, image, headers = await cloud.ask("alice", "POST", "/images", json={"name": "x"})
    assert status == 201
    assert headers["location"] == f"{cloud.base}/v2/images/{image['id']}"
    assert headers["openstack-image-store-ids"] == "fs"
    assert "web-download" in headers["openstack-image-import-methods"]


async def test_lists_filter_by_the_digest_algorithm(cloud: Cloud) -> None:
    """`os_hash_algo` finds images that have such a digest, and no others."""
    queued, active = await cloud.make(name="algo"), await cloud.make_active(name="algo")
    for query, expected in (("", {queued["id"], active["id"]}), ("sha512", {active["id"]}), ("md5", set())):
        path = "/images?name=algo" + (f"&os_hash_algo={query}" if query else "")
        assert {image["id"] for image in (await cloud.want(200, "alice", "GET", path))["images"]} == expected


async def test_stores_have_details_for_admins(cloud: Cloud) -> None:
    """The type and the weight are an operator's matter."""
    [store] = (await cloud.want(200, "root", "GET", "/info/stores/detail"))["stores"]
    assert (store["id"], store["type"], store["weight"]) == ("fs", "file", 100)
    assert "data" not in json.dumps(store["properties"])
    await cloud.want(403, "alice", "GET", "/info/stores/detail")


async def test_load_balancers_find_their_health_check(cloud: Cloud) -> None:
    """`/healthcheck` is OK in plain text, without a token, also for HEAD."""
    assert (await cloud.call("GET", "/healthcheck"))[:2] == (200, "OK")
    assert (await cloud.call("HEAD", "/healthcheck"))[0] == 200


async def test_pages_of_named_sites_may_call(tmp_path: Path) -> None:
    """CORS is answered for the origins of `server.cors_origins`, and for no others."""
    async with Cloud(tmp_path, server={"cors_origins": ["https://horizon.example"]}) as cloud:
        ask = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "X-Auth-Token"}
        status, _text, fields = await cloud.call(
            "OPTIONS", "/v2/images", headers={"Origin": "https://horizon.example", **ask}
        )
        assert (status, fields["access-control-allow-origin"]) == (200, "https://horizon.example")
        status, _text, fields = await cloud.call(
            "OPTIONS", "/v2/images", headers={"Origin": "https://evil.example", **ask}
        )
        assert "access-control-allow-origin" not in fields
        status, _text, fields = await cloud.ask(
            "alice", "GET", "/images", headers={"Origin": "https://horizon.example"}
        )
        assert (status, fields["access-control-allow-origin"]) == (200, "https://horizon.example")
        assert "X-OpenStack-Request-ID" in fields["access-control-expose-headers"]


@pytest.mark.parametrize("headers", [{}, FORM, {"Content-Type": "text/plain"}], ids=str)
async def test_json_needs_no_content_type(cloud: Cloud, headers: dict[str, str]) -> None:
    """`curl -d` sends JSON as a form; a browser's page does not get that far."""
    skipped = [] if headers else ["Content-Type"]
    name = f"curl-{uuid4()}"
    options = {"data": json.dumps({"name": name}), "headers": headers, "skip_auto_headers": skipped}
    made = await cloud.want(201, "alice", "POST", "/images", **options)
    assert made["name"] == name
    for field in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        options["headers"] = {**headers, **field}
        await cloud.want(415, "alice", "POST", "/images", **options)
    listed = await cloud.want(200, "alice", "GET", f"/images?name={name}")
    assert [image["id"] for image in listed["images"]] == [made["id"]]


@pytest.mark.parametrize("prefix", ["//v2", "///v2", "/v2.0", "/v2.5", "/v2.17", "//v2.17"])
async def test_paths_with_a_minor_version_or_two_slashes_are_served(cloud: Cloud, prefix: str) -> None:
    """Clients join an endpoint and a path as they see fit."""
    async with cloud.client.get(
        f"{cloud.base}{prefix}/images", headers={"X-Auth-Token": "token of alice"}
    ) as answer:
        assert answer.status == 200
        assert "images" in await answer.json()


@pytest.mark.parametrize("prefix", ["/v2.99", "/v2.18", "/v3", "/v2.x", "/v2.17x"])
async def test_versions_that_are_not_here_are_404(cloud: Cloud, prefix: str) -> None:
    """A minor version that is not told is not served."""
    assert (await cloud.call("GET", f"{prefix}/images"))[0] == 404


@pytest.mark.parametrize("query", ["name=%ff", "tag=%c3", "owner=a%80", "%ff=x"])
async def test_a_query_is_utf8(cloud: Cloud, query: str) -> None:
    """Bytes that are no text are refused; they must not become an empty list."""
    url = URL(f"{cloud.base}/v2/images?{query}", encoded=True)
    async with cloud.client.get(url, headers={"X-Auth-Token": "token of alice"}) as answer:
        assert answer.status == 400
        assert "UTF-8" in await answer.text()


NUL = ["/images?name=%00", "/images?x=a%00", "/images/%00", "/images/ID/tags/%00", "/tasks/%00"]


@pytest.mark.parametrize("path", NUL)
async def test_no_url_has_a_nul_character(cloud: Cloud, path: str) -> None:
    """PostgreSQL keeps no such text: 400 with every index, instead of a write that it refuses."""
    url = URL(f"{cloud.base}/v2{path}", encoded=True)
    for method in ("GET", "PUT", "DELETE"):
        async with cloud.client.request(method, url, headers={"X-Auth-Token": "token of alice"}) as answer:
            assert answer.status == 400
            assert "NUL" in await answer.text()


@pytest.mark.parametrize("path", ["/locations/-", "/locations/0", "/locations"])
async def test_locations_are_refused_with_their_reason(cloud: Cloud, path: str) -> None:
    """403 that says how bytes come, in both forms of a patch; not an error about the pointer."""
    image = await cloud.make()
    value = {"url": "http://x.example/", "metadata": {}}
    new, old = {"op": "add", "path": path, "value": value}, {"add": path, "value": value}
    for headers, change in ((PATCH, new), (OLD_PATCH, old)):
        document = await cloud.want(
            403, "alice", "PATCH", f"/images/{image['id']}", json=[change], headers=headers
        )
        assert "locations" in document["error"]["message"]


GLOBAL = "req-7b2c1c5e-0d3a-4b6e-9f3c-2f1d8a1f7c11"


async def test_the_callers_request_id_is_logged_with_ours(cloud: Cloud) -> None:
    """A trace through Nova and Cinder goes on here; what is no request id is not repeated."""
    with structlog.testing.capture_logs([structlog.contextvars.merge_contextvars]) as lines:
        _status, _document, fields = await cloud.ask(
            "alice", "GET", "/images", headers={"X-OpenStack-Request-ID": GLOBAL}
        )
        await cloud.ask("alice", "GET", "/images", headers={"X-OpenStack-Request-ID": "req-x y"})
    [line] = [line for line in lines if line["event"] == "request.answered"]
    assert (line["global_request_id"], line["status"], line["path"]) == (GLOBAL, 200, "/v2/images")
    assert line["request_id"] == fields["x-openstack-request-id"] != GLOBAL


async def test_an_id_of_null_is_none(cloud: Cloud) -> None:
    """Who sends an id has to mean one; without the attribute the service finds one."""
    status, document, _fields = await cloud.ask("alice", "POST", "/images", json={"id": None})
    assert (status, document["error"]["code"]) == (400, 400)
    await cloud.want(201, "alice", "POST", "/images", json={})


async def test_a_raw_disk_that_nobody_judged_has_its_size_as_virtual_size(tmp_path: Path) -> None:
    """Cinder makes a volume of that size; of other formats only the bytes would tell it."""
    async with Cloud(tmp_path, format={"enforce_on_upload": False}) as cloud:
        for disk_format, size in (("raw", len(DISK)), ("vhd", None)):
            image = await cloud.make(disk_format=disk_format)
            assert await send(cloud, image["id"], "file", DISK) == (204, "")
            shown = await cloud.want(200, "alice", "GET", f"/images/{image['id']}")
            assert shown["virtual_size"] == size
