"""Images that are kept new: a newer serial is imported, takes the name, and the older ones go by the rule."""

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from fetcher.catalogues import Keeper
from fetcher.cli.exits import Exit
from tests.api.image_v2.cloud import Cloud
from tests.catalogues.test_catalogues import source
from tests.cli.conftest import Fetcher, fetcher
from tests.images import raw
from tests.lab import behaviours
from tests.lab.behaviours import serve
from tests.lab.catalogue import index, item, products, ubuntu
from tests.lab.origin import Behaviour, Origin
from tests.service import Running
from tests.webhooks.test_dispatcher import Inbox, everything_in, told

__all__ = ["fetcher"]  # The fixture of the command line.

BODIES = {f"2026040{number}": raw(3000, seed=number) for number in range(1, 6)}


def streams(*serials: str, **product: Any) -> dict[str, Behaviour]:
    """A catalogue that has these serials."""
    versions = {serial: item(f"i/{serial}.img", BODIES[serial], "raw") for serial in serials}
    return {
        "/r/streams/v1/index.json": serve(index("streams/v1/a.json")),
        "/r/streams/v1/a.json": serve(products(ubuntu(versions, **product))),
        **{f"/r/i/{serial}.img": serve(body) for serial, body in BODIES.items()},
    }


class Kept:
    """A schedule on a running service, whose turns are taken when the test says so."""

    def __init__(self, service: Running) -> None:
        self._service = service
        self.parts = service.service.app.state.services
        self.keeper = Keeper(self.parts.importer, self.parts.catalogues)
        self.id = ""
        self._now = datetime.now(UTC)

    def later(self) -> datetime:
        """Two days after the last look: whatever waits is due."""
        self._now += timedelta(days=2)
        return self._now

    async def make(self, **rules: Any) -> dict[str, Any]:
        """Make the schedule."""
        body = {"catalogue": "ubuntu:26.04", "name": "ubuntu", "convert_to": None} | rules
        status, made, _headers = await self._service.call("POST", "/schedules", json=body)
        assert status == 201, made
        self.id = made["id"]
        return dict(made)

    async def show(self) -> dict[str, Any]:
        """Show it as it stands."""
        return dict(await self._service.get(f"/schedules/{self.id}"))

    async def turn(self) -> dict[str, Any]:
        """Let it look, and follow what it began to the end."""
        await self.keeper.take_turns(self.later())
        while (shown := await self.show())["import_id"] is not None:
            await self._service.ended(shown["import_id"])
            await self.keeper.take_turns(self.later())
        return shown

    async def images(self, hidden: str = "false") -> dict[str, str]:
        """The images by their names, each with its sha256's serial."""
        serials = {hashlib.sha512(body).hexdigest(): serial for serial, body in BODIES.items()}
        found = (await self._service.get(f"/v2/images?os_hidden={hidden}"))["images"]
        return {image["name"]: serials[image["os_hash_value"]] for image in found}


@pytest.fixture(autouse=True)
def own_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """The service's own keeper takes no turns: each test takes them itself."""

    async def nothing(_self: Keeper) -> None:
        import asyncio

        await asyncio.Event().wait()

    monkeypatch.setattr(Keeper, "run", nothing)


async def test_a_newer_serial_takes_the_name(tmp_path: Path) -> None:
    """The name is always the newest image's; older ones are hidden, and more than are kept are deleted."""
    async with Origin(streams("20260401")) as origin, Running(tmp_path, origin, **source(origin)) as service:
        kept = Kept(service)
        await kept.make(keep=2)
        first = await kept.turn()
        assert (first["code"], first["serial"]) == ("ok", "20260401")
        assert await kept.images() == {"ubuntu": "20260401"}
        assert (await kept.turn())["code"] == "unchanged"
        origin.routes = streams("20260401", "20260402")
        await kept.parts.catalogues.refresh()
        assert (await kept.turn())["serial"] == "20260402"
        assert await kept.images() == {"ubuntu": "20260402"}
        assert await kept.images("true") == {"ubuntu (20260401)": "20260401"}
        origin.routes = streams("20260402", "20260403")
        await kept.parts.catalogues.refresh()
        shown = await kept.turn()
        assert await kept.images() == {"ubuntu": "20260403"}
        assert await kept.images("true") == {"ubuntu (20260402)": "20260402"}
        image = await service.get(f"/v2/images/{shown['image_id']}")
        assert image["name"] == "ubuntu"


async def test_a_protected_image_is_never_deleted(tmp_path: Path) -> None:
    """Whatever the rule says, what somebody protected stays."""
    async with Origin(streams("20260401")) as origin, Running(tmp_path, origin, **source(origin)) as service:
        kept = Kept(service)
        await kept.make(keep=1, retire="show")
        first = await kept.turn()
        change = [{"op": "replace", "path": "/protected", "value": True}]
        patch = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
        path = f"/v2/images/{first['image_id']}"
        assert (await service.call("PATCH", path, json=change, headers=patch))[0] == 200
        origin.routes = streams("20260402")
        await kept.parts.catalogues.refresh()
        await kept.turn()
        assert await kept.images() == {"ubuntu": "20260402", "ubuntu (20260401)": "20260401"}


async def test_an_import_that_fails_changes_nothing_and_is_tried_again(tmp_path: Path) -> None:
    """The old image keeps the name until a new one is whole; its failure is told."""
    async with Origin(streams("20260401")) as origin, Running(tmp_path, origin, **source(origin)) as service:
        kept = Kept(service)
        await kept.make()
        await kept.turn()
        newer = streams("20260401", "20260402")
        origin.routes = newer | {"/r/i/20260402.img": serve(raw(3000, seed=77))}
        await kept.parts.catalogues.refresh()
        failed = await kept.turn()
        assert (failed["code"], failed["serial"]) == ("checksum-mismatch", "20260401")
        assert await kept.images() == {"ubuntu": "20260401"}
        origin.routes = newer
        assert (await kept.turn())["serial"] == "20260402"
        assert await kept.images() == {"ubuntu": "20260402"}


async def test_a_restart_between_two_steps_imports_once(tmp_path: Path) -> None:
    """A process that died before it wrote down what it submitted finds that import again."""
    async with Origin(streams("20260401")) as origin, Running(tmp_path, origin, **source(origin)) as service:
        kept = Kept(service)
        await kept.make()
        schedules = kept.parts.index.schedules
        [before] = await schedules.due(datetime.now(UTC) + timedelta(days=2))
        await kept.keeper.take_turns(datetime.now(UTC) + timedelta(days=2))
        [after] = await schedules.due(datetime.now(UTC) + timedelta(days=9))
        assert await schedules.note(after, before.progress, before.next_at)
        assert (await kept.turn())["code"] == "ok"
        assert len((await service.get("/imports"))["imports"]) == 1


async def test_what_has_ended_is_told(fetcher: Fetcher, tmp_path: Path) -> None:
    """An image whose publisher looks after it no more is imported, with a warning."""
    routes = streams("20260401", support_eol="2020-01-01")
    async with Origin(routes) as origin, Running(tmp_path, origin, **source(origin)) as service:
        kept = Kept(service)
        await kept.make()
        shown = await kept.turn()
        assert (shown["code"], shown["end_of_life"]) == ("ok", "2020-01-01")
        assert "2020-01-01" in shown["warning"]
        [record] = (await service.get("/imports"))["imports"]
        told = await fetcher("show", record["id"], "--server", service.base)
        assert "looked after it until 2020-01-01" in told.out + told.err
        async with service.client.get(f"/page/imports/{record['id']}") as answer:
            assert "looked after it until 2020-01-01" in await answer.text()


async def test_a_name_that_nobody_has_is_told(tmp_path: Path) -> None:
    """The schedule stays, and says what is wrong; so does one whose catalogue is away."""
    async with Origin(streams("20260401")) as origin, Running(tmp_path, origin, **source(origin)) as service:
        kept = Kept(service)
        await kept.make(catalogue="ubuntu:99.04")
        assert (await kept.turn())["code"] == "unknown-name"
    async with Origin({"*": behaviours.status(500)}) as origin:
        folder = tmp_path / "other"
        folder.mkdir()
        async with Running(folder, origin, **source(origin)) as service:
            kept = Kept(service)
            await kept.make()
            assert (await kept.turn())["code"] == "catalogue-unusable"


async def test_a_schedule_that_goes_leaves_its_images(tmp_path: Path) -> None:
    """Its images stay as they are, and no further one comes."""
    async with Origin(streams("20260401")) as origin, Running(tmp_path, origin, **source(origin)) as service:
        kept = Kept(service)
        await kept.make()
        await kept.turn()
        assert (await service.call("DELETE", f"/schedules/{kept.id}"))[0] == 204
        assert await kept.keeper.take_turns(datetime.now(UTC) + timedelta(days=9)) == 0
        assert await kept.images() == {"ubuntu": "20260401"}
        assert (await service.call("GET", f"/schedules/{kept.id}"))[1]["code"] == "unknown-schedule"


BAD: dict[str, tuple[dict[str, Any], int]] = {
    "serial": ({"catalogue": "ubuntu:26.04@20260401"}, 400),
    "too-often": ({"interval_seconds": 1.0}, 400),
    "keeps-too-many": ({"keep": 1000}, 400),
    "keeps-less-than-none": ({"keep": -1}, 400),
    "reserved": ({"properties": {"os_hidden": "true"}}, 400),
    "no-name": ({"catalogue": "https://example.org/x"}, 400),
}


async def test_a_schedule_that_could_not_work_is_refused(tmp_path: Path) -> None:
    """Every mistake is told at once, with its field."""
    async with Running(tmp_path) as service:
        for name, (rules, status) in BAD.items():
            body = {"catalogue": "ubuntu:26.04", "name": "ubuntu"} | rules
            assert (await service.call("POST", "/schedules", json=body))[0] == status, name


async def test_a_schedule_is_changed_in_place(tmp_path: Path) -> None:
    """What is left out stays; a new name is the newest image's at once; mistakes change nothing."""
    async with Origin(streams("20260401")) as origin, Running(tmp_path, origin, **source(origin)) as service:
        kept = Kept(service)
        await kept.make(keep=2, properties={"os_distro": "ubuntu"})
        await kept.turn()

        async def change(**fields: Any) -> tuple[int, Any]:
            return (await service.call("PATCH", f"/schedules/{kept.id}", json=fields))[:2]

        status, changed = await change(name="ubuntu-lts", interval_seconds=7200)
        assert (status, changed["name"], changed["keep"]) == (200, "ubuntu-lts", 2)
        assert (changed["interval_seconds"], changed["properties"]) == (7200, {"os_distro": "ubuntu"})
        assert await kept.images() == {"ubuntu-lts": "20260401"}
        assert (await change(interval_seconds=None))[1]["interval_seconds"] > 7200
        for wrong in ({"keep": -1}, {"catalogue": "ubuntu:26.04@20260401"}, {"serial": "x"}, {"name": None}):
            assert (await change(**wrong))[0] == 400
        assert await kept.show() == await kept.show() | {"name": "ubuntu-lts", "keep": 2, "code": "ok"}
        assert (await change(keep=3, catalogue="ubuntu:resolute"))[1]["serial"] is None  # Looks anew.
        assert (await kept.turn())["code"] == "ok"


async def test_a_look_that_an_edit_overtakes_counts_for_nothing(tmp_path: Path) -> None:
    """The keeper notes what it found only for the rules by which it looked; its import asks for one image."""
    async with Origin(streams("20260401")) as origin, Running(tmp_path, origin, **source(origin)) as service:
        kept = Kept(service)
        await kept.make()
        schedules = kept.parts.index.schedules
        [before] = await schedules.due(datetime.now(UTC) + timedelta(days=2))
        assert (await service.call("PATCH", f"/schedules/{kept.id}", json={"keep": 5}))[0] == 200
        assert not await schedules.note(before, before.progress, before.next_at)
        await kept.keeper.take_turns(kept.later())
        other = {"catalogue": "ubuntu:24.04"}
        status, refused, _headers = await service.call("PATCH", f"/schedules/{kept.id}", json=other)
        assert (status, refused["code"]) == (409, "conflict")
        assert (await kept.turn())["keep"] == 5


async def test_a_schedules_own_receiver_is_told(tmp_path: Path) -> None:
    """Each import of it is told to its URL, signed; neither URL nor secret is shown, and both can go."""
    inbox = Inbox()
    routes = streams("20260401") | {"/hook": inbox}
    async with Origin(routes) as origin, Running(tmp_path, origin, **source(origin)) as service:
        kept = Kept(service)
        hook = origin.url("/hook?token=hushhush1234")
        made = await kept.make(notify_url=hook, notify_secret="a secret of sixteen bytes")
        assert made["notify_url"].endswith("/hook?token=REDACTED")
        assert "sixteen" not in str(made)
        await kept.turn()
        [record] = (await service.get("/imports"))["imports"]
        await told(service, record["id"], "delivered")
        assert inbox.data["state"] == "succeeded"
        assert inbox.messages[0][0].header("webhook-signature")
        gone = {"notify_url": None}
        status, changed, _headers = await service.call("PATCH", f"/schedules/{kept.id}", json=gone)
        assert (status, changed["notify_url"]) == (200, None)
        assert "hushhush1234" not in everything_in(tmp_path)
        for wrong in ({"notify_url": "ftp://a.example/"}, {"notify_secret": "a secret for nobody"}):
            assert (await service.call("PATCH", f"/schedules/{kept.id}", json=wrong))[0] == 400


async def test_schedules_are_a_projects_own_and_bounded(tmp_path: Path) -> None:
    """Others see none, readers make none, only admins make public images, and there is a limit."""
    async with Cloud(tmp_path, schedules={"max_per_project": 1}) as cloud:

        async def ask(who: str, method: str, path: str, **more: Any) -> tuple[int, Any]:
            headers = {"X-Auth-Token": f"token of {who}"}
            status, document, _headers = await cloud.call(method, path, headers=headers, **more)
            return status, document

        body = {"catalogue": "ubuntu:26.04", "name": "ubuntu"}
        assert (await ask("rita", "POST", "/schedules", json=body))[0] == 403
        public = body | {"visibility": "public"}
        assert (await ask("alice", "POST", "/schedules", json=public))[0] == 403
        status, made = await ask("alice", "POST", "/schedules", json=body)
        assert status == 201
        assert (await ask("alice", "POST", "/schedules", json=body))[0] == 409
        assert (await ask("bob", "GET", "/schedules"))[1] == {"schedules": []}
        assert (await ask("bob", "DELETE", f"/schedules/{made['id']}"))[0] == 404
        assert (await ask("rita", "GET", f"/schedules/{made['id']}"))[0] == 200
        for who, fields, refused in (
            *(("bob", {"keep": 1}, 404), ("rita", {"keep": 1}, 403)),
            ("alice", {"visibility": "public"}, 403),
        ):
            assert (await ask(who, "PATCH", f"/schedules/{made['id']}", json=fields))[0] == refused
        assert (await ask("root", "DELETE", f"/schedules/{made['id']}"))[0] == 204


async def test_the_command_line_keeps_an_image_new(fetcher: Fetcher, tmp_path: Path) -> None:
    """`fetcher schedules` adds, lists, runs and removes."""
    async with Origin(streams("20260401")) as origin, Running(tmp_path, origin, **source(origin)) as service:
        at = ("--server", service.base)
        made = await fetcher("schedules", "add", "ubuntu:26.04", "ubuntu", "--hours", "2", *at)
        assert made.code == Exit.OK, made.err
        schedule_id = made.out.strip()
        shown = await fetcher("schedules", "list", *at, "--json")
        assert shown.json["schedules"][0]["interval_seconds"] == 7200
        assert schedule_id[:8] in (await fetcher("schedules", "list", *at)).out
        given = ("--keep", "7", "--notify", "", "--name", "lts")
        changed = await fetcher("schedules", "change", schedule_id, *given, *at, "--json")
        assert (changed.json["keep"], changed.json["name"], changed.json["retire"]) == (7, "lts", "hide")
        assert (await fetcher("schedules", "run", schedule_id, *at)).code == Exit.OK
        assert (await fetcher("schedules", "remove", schedule_id, *at)).code == Exit.OK
        gone = await fetcher("schedules", "remove", schedule_id, *at)
        assert gone.code == Exit.UNKNOWN
