"""An import method is one file and one registration; nothing else in the service knows it by name."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fetcher.importer.methods import registry
from fetcher.importer.methods.method import Flow, ImportMethod
from tests.api.image_v2.cloud import DISK, Cloud, digests
from tests.importer.methods import lab_catalogue
from tests.lab import behaviours
from tests.lab.origin import Origin

ROOT = Path(__file__).parents[3]


@contextmanager
def registered(method: ImportMethod) -> Iterator[None]:
    """Have the service know one more method."""
    registry.METHODS.append(method)
    try:
        yield
    finally:
        registry.METHODS.remove(method)


async def test_a_toy_method_works_from_discovery_to_the_task(tmp_path: Path) -> None:
    """Registered, it is offered to whom it says, imports, is shown as a task, and its failure is told."""
    routes = {"/c/one": behaviours.serve(DISK), "/c/two": behaviours.status(404)}
    async with Origin(routes) as origin, Cloud(tmp_path, origin) as cloud:
        toy = lab_catalogue.method(origin.url("/c"))
        with registered(toy):
            for who, is_offered in (("alice", True), ("bob", False)):
                found = (await cloud.want(200, who, "GET", "/info/import"))["import-methods"]["value"]
                assert ("lab-catalogue" in found) is is_offered
            image = await cloud.make()
            path = f"/images/{image['id']}"
            call = {"method": {"name": "lab-catalogue", "entry": "one"}}
            await cloud.want(
                400, "alice", "POST", f"{path}/import", json={"method": {"name": "lab-catalogue"}}
            )
            await cloud.want(202, "alice", "POST", f"{path}/import", json=call)
            task = await cloud.settled(image["id"])
            assert task["status"] == "success", task
            assert task["input"]["import_req"]["method"] == {"name": "lab-catalogue", "entry": "one"}
            shown = await cloud.want(200, "alice", "GET", path)
            assert shown.items() >= (digests(DISK) | {"status": "active"}).items()

            failing = await cloud.make()
            call = {"method": {"name": "lab-catalogue", "entry": "two"}}
            await cloud.want(202, "alice", "POST", f"/images/{failing['id']}/import", json=call)
            assert (await cloud.settled(failing["id"]))["result"]["code"] == "source-status"
            assert "source-status" in str(await cloud.want(200, "alice", "GET", f"/images/{failing['id']}"))

            foreign = await cloud.make(who="bob")
            refused = await cloud.want(400, "bob", "POST", f"/images/{foreign['id']}/import", json=call)
            assert "unknown import method lab-catalogue" in refused["error"]["message"]


def test_the_core_knows_no_method_by_name() -> None:
    """No file but a method's own and the documents about it has the name of one in its code."""
    names = re.compile(rf'"({"|".join(re.escape(method.name) for method in registry.METHODS)})"')
    allowed = {"methods", "cli", "guards"}  # A guard's purposes have names of their own.
    found = []
    for path in (ROOT / "fetcher").rglob("*.py"):
        parts = set(path.relative_to(ROOT).parts)
        if not parts & allowed and (names_in := names.findall(path.read_text())):
            found.append((path.name, names_in))
    # A step of the store, the counter of the page and a method of another service have names of their own.
    others = ({"stage"}, {"upload"})
    elsewhere = {"image_api_sender.py"}
    assert [entry for entry in found if set(entry[1]) not in others and entry[0] not in elsewhere] == []


def test_a_method_that_is_gone_is_still_shown() -> None:
    """Records outlive the method that made them."""
    gone = registry.named("gone-download")
    assert (gone.name, gone.flow, gone.is_sent) == ("gone-download", Flow.FETCH, False)
