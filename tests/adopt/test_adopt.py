"""Taking over the images of one running service into another."""

import asyncio
import hashlib
import io
import json
import tomllib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fetcher.cli.exits import Exit
from tests.cli.conftest import Fetcher, Result, spawn
from tests.images import qcow2, raw
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.service import Running

OCTETS = {"Content-Type": "application/octet-stream"}
DISK = raw(3000)


@dataclass
class Pair:
    """Where the images are, where they are to go, and the command between them."""

    far: Running
    near: Running
    fetcher: Fetcher

    async def make(self, side: Running, body: bytes | None = DISK, **attributes: Any) -> str:
        """Make an image, with bytes unless there are to be none."""
        fields = {"disk_format": "raw", "container_format": "bare", **attributes}
        status, image, _ = await side.call("POST", "/v2/images", json=fields)
        assert status == 201, image
        if body is not None:
            path = f"/v2/images/{image['id']}/file"
            assert (await side.call("PUT", path, data=io.BytesIO(body), headers=OCTETS))[0] == 204
        return str(image["id"])

    async def images(self, side: Running) -> dict[str, Any]:
        """Give all images of a side by id."""
        found = [
            image
            for hidden in ("false", "true")
            for image in (await side.get(f"/v2/images?visibility=all&os_hidden={hidden}"))["images"]
        ]
        return {image["id"]: image for image in found}

    def arguments(self, *more: str) -> tuple[str, ...]:
        """Give the command line."""
        which = () if "--only" in more else ("--all-projects",)
        return (
            "adopt",
            "--from",
            self.far.base,
            "--server",
            self.near.base,
            "--region",
            "Far",
            *which,
            *more,
        )

    async def adopt(self, *more: str) -> Result:
        """Run the command."""
        return await self.fetcher(*self.arguments(*more))


def allowed(far: Running) -> dict[str, Any]:
    """Give what lets a service fetch from the other."""
    port = int(far.base.rpartition(":")[2])
    return {
        "image_api": {"remotes": [{"region": "Far", "url": far.base}]},
        "address": {"allow": [{"cidr": "127.0.0.1/32", "ports": [port]}]},
    }


@pytest.fixture
async def pair(tmp_path: Path, fetcher: Fetcher) -> AsyncIterator[Pair]:
    (tmp_path / "far").mkdir()
    (tmp_path / "near").mkdir()
    async with Running(tmp_path / "far") as far, Running(tmp_path / "near", **allowed(far)) as near:
        yield Pair(far, near, fetcher)


SAME = (
    "name",
    "owner",
    "visibility",
    "protected",
    "os_hidden",
    "min_disk",
    "min_ram",
    "tags",
    "status",
    "size",
)


async def test_images_of_all_states_come_over_and_a_second_run_does_nothing(pair: Pair) -> None:
    """Ids, owners, members and properties are the origin's; what is deactivated is named and left."""
    whole = await pair.make(
        pair.far,
        name="whole",
        owner="p1",
        visibility="shared",
        protected=True,
        min_disk=3,
        min_ram=64,
        tags=["b", "a"],
        hw_disk_bus="scsi",
        anything="else",
    )
    for member, answer in (("p2", "accepted"), ("p3", "rejected"), ("p4", "pending")):
        path = f"/v2/images/{whole}/members"
        await pair.far.call("POST", path, json={"member": member})
        await pair.far.call("PUT", f"{path}/{member}", json={"status": answer})
    hidden = await pair.make(pair.far, qcow2(), disk_format="qcow2", os_hidden=True, visibility="public")
    queued = await pair.make(pair.far, None, name="later", owner="p2")
    off = await pair.make(pair.far, name="off")
    await pair.far.call("POST", f"/v2/images/{off}/actions/deactivate")

    first = await pair.adopt("--json")
    assert first.code == Exit.OK, first
    assert first.json["counts"] == {"adopted": 3, "cannot": 1}
    there, here = await pair.images(pair.far), await pair.images(pair.near)
    assert set(here) == {whole, hidden, queued}
    for image_id, image in here.items():
        for name in (*SAME, "os_hash_algo", "os_hash_value", "disk_format"):
            assert image[name] == there[image_id][name], (name, image)
    assert here[whole]["anything"] == "else"
    members = (await pair.near.get(f"/v2/images/{whole}/members"))["members"]
    assert {member["member_id"]: member["status"] for member in members} == {
        "p2": "accepted",
        "p3": "rejected",
        "p4": "pending",
    }
    task = (await pair.near.get(f"/v2/images/{whole}/tasks"))["tasks"][0]["id"]
    expected = f"sha512:{there[whole]['os_hash_value']}"
    story = await pair.near.get(f"/imports/{task}/provenance")
    assert (story["submitted"]["checksum"], story["verified_by"]) == (expected, "remote")

    second = await pair.adopt("--json")
    assert second.json["counts"] == {"keep": 3, "cannot": 1}
    assert await pair.images(pair.near) == here


async def test_what_has_changed_there_is_changed_here(pair: Pair) -> None:
    """A later run carries a new name over, and fetches no byte."""
    image_id = await pair.make(pair.far, name="old")
    await pair.adopt()
    patch = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
    change = [{"op": "replace", "path": "/name", "value": "new"}]
    await pair.far.call("PATCH", f"/v2/images/{image_id}", json=change, headers=patch)
    assert (await pair.adopt("--json")).json["counts"] == {"updated": 1}
    assert (await pair.near.get(f"/v2/images/{image_id}"))["name"] == "new"
    assert len((await pair.near.get(f"/v2/images/{image_id}/tasks"))["tasks"]) == 1


async def test_a_dry_run_changes_nothing(pair: Pair) -> None:
    """It names what would be done, and what an image there lacks here, and ends well."""
    image_id = await pair.make(pair.far)
    taken = await pair.make(pair.far, name="taken", owner="p1")
    await pair.make(pair.near, None, id=taken, owner="p2")
    locked = await pair.make(pair.far, cinder_encryption_key_id="key")
    before = await pair.images(pair.near)
    result = await pair.adopt("--dry-run", "--json")
    assert result.code == Exit.OK
    shown = {entry["id"]: entry["action"] for entry in result.json["images"]}
    assert shown == {image_id: "carry", taken: "conflict", locked: "cannot"}
    words = await pair.adopt("--dry-run")
    assert image_id in words.out
    assert "Nothing was changed" in words.err
    assert await pair.images(pair.near) == before


async def test_an_id_with_other_bytes_or_another_owner_is_a_conflict(pair: Pair) -> None:
    """Both are named and left as they are; the rest is carried over."""
    other_bytes = await pair.make(pair.far)
    await pair.make(pair.near, raw(4000), id=other_bytes)
    other_owner = await pair.make(pair.far, owner="p1")
    await pair.make(pair.near, id=other_owner, owner="p2")
    fine = await pair.make(pair.far)
    before = await pair.images(pair.near)
    result = await pair.adopt("--json")
    assert result.code == Exit.REFUSED
    why = {entry["id"]: entry["why"].partition(":")[0] for entry in result.json["images"]}
    assert why == {other_bytes: "bytes", other_owner: "owner", fine: ""}
    after = await pair.images(pair.near)
    assert {key: after[key] for key in before} == before
    assert after[fine]["status"] == "active"


async def test_a_forged_byte_fails_and_nothing_is_active(pair: Pair) -> None:
    """The bytes are held against the hash of the record there."""
    image_id = await pair.make(pair.far)
    blob = next(path for path in (pair.far.data / "blobs").rglob("*") if path.is_file())
    blob.chmod(0o600)
    blob.write_bytes(bytes([DISK[0] ^ 1]) + DISK[1:])
    result = await pair.adopt("--json")
    assert result.code == Exit.FAILED
    assert result.json["images"][0]["code"] == "checksum-mismatch"
    assert (await pair.near.get(f"/v2/images/{image_id}"))["status"] == "queued"
    blob.write_bytes(DISK)
    assert (await pair.adopt()).code == Exit.OK
    assert (await pair.near.get(f"/v2/images/{image_id}"))["status"] == "active"


async def test_a_run_that_was_killed_is_gone_on_with(pair: Pair, tmp_path: Path) -> None:
    """What is here already is not fetched again."""
    for size in (3000, 4000, 5000, 6000):
        await pair.make(pair.far, raw(size))
    process = await spawn(*pair.arguments(), cwd=tmp_path)
    while not await pair.images(pair.near):
        assert process.returncode is None, (await process.communicate())[1]
        await asyncio.sleep(0.005)
    process.kill()
    await process.communicate()
    assert (await pair.adopt()).code == Exit.OK
    there, here = await pair.images(pair.far), await pair.images(pair.near)
    assert {key: image["os_hash_value"] for key, image in here.items()} == {
        key: image["os_hash_value"] for key, image in there.items()
    }
    for image_id in here:
        assert len((await pair.near.get(f"/v2/images/{image_id}/tasks"))["tasks"]) == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_the_lines_it_names_let_the_server_fetch(host: str, tmp_path: Path, fetcher: Fetcher) -> None:
    """A server that does not know the origin changes nothing, and is told what to add."""
    (tmp_path / "far").mkdir()
    (tmp_path / "near").mkdir()
    async with Running(tmp_path / "far") as far:
        image_id = await Pair(far, far, fetcher).make(far)
        far.base = far.base.replace("127.0.0.1", host)
        async with Running(tmp_path / "near") as near:
            refused = await Pair(far, near, fetcher).adopt()
            assert refused.code == Exit.USAGE
            assert (await near.get("/v2/images"))["images"] == []
        lines = tomllib.loads(refused.err[refused.err.index("[image_api]") :].replace("ADDRESS", "127.0.0.1"))
        async with Running(tmp_path / "near", **lines) as near:
            assert (await Pair(far, near, fetcher).adopt("--only", image_id)).code == Exit.OK
            assert (await near.get(f"/v2/images/{image_id}"))["status"] == "active"


async def test_an_origin_with_another_hash_is_taken_at_its_word(tmp_path: Path, fetcher: Fetcher) -> None:
    """A record here shows SHA-512; that the SHA-256 there was met is known from the import's provenance."""
    image_id = "7b2f3c1e-3f0a-4c55-9a0e-0d5d3a1b6c11"
    digest = hashlib.sha256(DISK).hexdigest()
    record = {"id": image_id, "status": "active", "disk_format": "raw", "container_format": "bare"}
    record |= {"os_hash_algo": "sha256", "os_hash_value": digest, "visibility": "private"}
    path = f"/v2/images/{image_id}"
    routes = {path: behaviours.serve(json.dumps(record).encode()), f"{path}/file": behaviours.serve(DISK)}
    async with Origin(routes) as origin:
        base = f"http://{origin.host}:{origin.port}"
        remotes = {"remotes": [{"region": "origin", "url": base}]}
        async with Running(tmp_path, origin, image_api=remotes, url={"allow_literals": True}) as near:
            command = ("adopt", "--from", base, "--server", near.base, "--only", image_id, "--json")
            assert (await fetcher(*command)).json["counts"] == {"adopted": 1}
            assert (await near.get(path))["status"] == "active"
            assert (await fetcher(*command)).json["counts"] == {"keep": 1}


async def test_a_missing_id_and_no_choice_are_told(pair: Pair) -> None:
    """Nobody gets all images without asking for them."""
    unknown = await pair.adopt("--only", "00000000-0000-4000-8000-000000000000", "--json")
    assert unknown.code == Exit.FAILED
    assert unknown.json["images"][0]["code"] == "unknown-image"
    assert (await pair.fetcher("adopt", "--from", pair.far.base)).code == Exit.USAGE


@pytest.mark.parametrize(
    ("remotes", "words"),
    [
        ({"Far": "{other}"}, "the server's remote Far is {other}"),
        ({"Far": "{other}", "Right": "{far}"}, "give --region Right"),
        ({"Other": "{other}"}, "Add to its configuration"),
    ],
    ids=["another", "renamed", "unknown"],
)
async def test_another_origin_under_that_name_is_noticed_before_anything_is_made(
    remotes: dict[str, str], words: str, tmp_path: Path, fetcher: Fetcher
) -> None:
    """Records of one service with the bytes of another would be a mess: nothing begins."""
    for name in ("far", "near"):
        (tmp_path / name).mkdir()
    async with Origin() as other, Running(tmp_path / "far") as far:
        urls = {"other": other.url("").rstrip("/"), "far": far.base}
        known = [{"region": name, "url": url.format(**urls)} for name, url in remotes.items()]
        async with Running(tmp_path / "near", **{**allowed(far), "image_api": {"remotes": known}}) as near:
            pair = Pair(far, near, fetcher)
            await pair.make(far)
            refused = await pair.adopt()
            assert refused.code == Exit.USAGE
            assert words.format(**urls) in " ".join(refused.err.split())
            shown = await pair.adopt("--dry-run")
            assert shown.code == Exit.OK
            assert words.format(**urls) in " ".join((shown.out + shown.err).split())
            assert (await near.get("/v2/images"))["images"] == []
            assert other.connections == 0


@pytest.mark.parametrize("way", ["--token-env", "--token-file"])
async def test_the_token_comes_from_where_it_was_said(
    way: str, tmp_path: Path, fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It lets the command in at both services and goes with the import to the origin; it is never printed."""
    token = "token of root " + "x" * 20
    entry = {
        "sha256": hashlib.sha256(token.encode()).hexdigest(),
        "project": "a",
        "user": "root",
        "roles": ["admin"],
    }
    auth = {"mode": "tokens", "tokens": [entry]}
    for name in ("far", "near"):
        (tmp_path / name).mkdir()
    file = tmp_path / "token"
    file.write_text(f"{token}\n")
    monkeypatch.setenv("THERE", token)
    async with (
        Running(tmp_path / "far", auth=auth) as far,
        Running(tmp_path / "near", **allowed(far), auth=auth) as near,
    ):
        headers = {"X-Auth-Token": token}
        fields = {"disk_format": "raw", "container_format": "bare"}
        _status, image, _ = await far.call("POST", "/v2/images", json=fields, headers=headers)
        path = f"/v2/images/{image['id']}/file"
        await far.call("PUT", path, data=io.BytesIO(DISK), headers=headers | OCTETS)
        pair = Pair(far, near, fetcher)
        assert (await pair.adopt()).code != Exit.OK
        done = await pair.adopt(way, "THERE" if way == "--token-env" else str(file))
        assert done.code == Exit.OK, done.err
        assert token not in done.out + done.err
        status, here, _ = await near.call("GET", f"/v2/images/{image['id']}", headers=headers)
        assert (status, here["status"]) == (200, "active")


async def test_mistakes_about_tokens_are_told(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Two places for one token, a variable that is not there, a file that is not there: all say so."""
    monkeypatch.delenv("NOWHERE", raising=False)
    monkeypatch.setenv("HERE", "t" * 20)
    both = await pair.adopt("--token-env", "HERE", "--token-file", str(tmp_path / "t"))
    assert (both.code, "not both" in both.err) == (Exit.USAGE, True)
    unset = await pair.adopt("--token-env", "NOWHERE")
    assert (unset.code, "has no NOWHERE" in unset.err) == (Exit.USAGE, True)
    lost = await pair.adopt("--token-file", str(tmp_path / "lost"))
    assert lost.code == Exit.USAGE
    assert "Traceback" not in lost.err
