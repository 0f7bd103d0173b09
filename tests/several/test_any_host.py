"""Two processes of one service: any of them answers any request, and what one does for all is done once."""

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import psycopg
import pytest
import pytest_asyncio

from fetcher.index.postgres.bookkeeping.counts import COUNTED
from tests.catalogues.test_catalogues import source
from tests.catalogues.test_schedules import BODIES, streams
from tests.contract.index.postgres import PostgresPlace, PostgresPlaces
from tests.images import raw
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.page.test_page import BROWSER
from tests.processes import ROOT
from tests.several.hosts import SIZE, Held, Hosts
from tests.webhooks.test_dispatcher import Inbox

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("hosts")]

PATIENT_SECONDS = 60
CLI = "from fetcher.cli import main; raise SystemExit(main())"
CHORES = ["attestations", "maintenance", "schedules", "webhooks"]


class Site:
    """Two hosts, where they fetch from, and their database."""

    def __init__(self, hosts: Hosts, origin: Origin, database: PostgresPlace) -> None:
        self.hosts = hosts
        self.origin = origin
        self._database = database

    def rows(self, sql: str) -> list[Any]:
        """Ask the database, past all hosts."""
        with psycopg.connect(self._database.url) as connection:
            return connection.execute(sql.encode()).fetchall()

    async def until(self, sql: str, wanted: list[Any]) -> None:
        """Wait until the database says so."""
        async with asyncio.timeout(PATIENT_SECONDS):
            while self.rows(sql) != wanted:
                await asyncio.sleep(0.05)

    def check_usage(self) -> None:
        """Compare what projects are said to hold with what the rows say."""
        said = "SELECT project_id, images, bytes, held_bytes FROM usage WHERE images > 0 ORDER BY 1"
        wanted = f"SELECT project_id, images, bytes, held_bytes FROM ({COUNTED}) AS c ORDER BY 1"
        assert self.rows(said) == self.rows(wanted)

    async def cluster(self) -> dict[str, Any]:
        """Run `fetcher cluster` as an operator does, and return what it shows."""
        config = str(self.hosts[0].config)
        command = (sys.executable, "-c", CLI, "cluster", "--json", "--config", config)
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, cwd=ROOT)
        said, _nothing = await asyncio.wait_for(process.communicate(), PATIENT_SECONDS)
        assert process.returncode == 0
        return dict(json.loads(said))


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site(databases: PostgresPlaces, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """Two hosts that keep a catalogue, started once."""
    async with Origin(streams("20260401")) as origin:
        sections = source(origin) | {"quota": {"max_images": 100, "max_bytes": 10**9}}
        database = databases.new()
        hosts = Hosts(tmp_path_factory.mktemp("any"), database, origin, 2, **sections)
        async with hosts:
            yield Site(hosts, origin, database)


@pytest.fixture(autouse=True)
def let_go(site: Site) -> Iterator[None]:
    """Leave nothing for the tests to come that would wait for ever."""
    yield
    for route in site.origin.routes.values():
        if isinstance(route, Held):
            route.opened.set()


async def test_one_key_is_one_import_at_all_hosts(site: Site) -> None:
    """Asked ten times at once at both hosts, and with something else refused by either."""
    site.origin.routes["/keyed"] = behaviours.serve(raw(1000, seed=31))
    body = {"url": site.origin.url("/keyed"), "disk_format": "raw"}
    headers = {"Idempotency-Key": "any-host"}
    asked = (site.hosts[n % 2].call("POST", "/imports", json=body, headers=headers) for n in range(10))
    answers = await asyncio.gather(*asked)
    assert {status for status, _document in answers} == {202}
    assert len({document["id"] for _status, document in answers}) == 1
    for number in range(2):
        other = {**body, "name": "other"}
        _status, document = await site.hosts[number].call("POST", "/imports", json=other, headers=headers)
        assert document["code"] == "idempotency-mismatch"
    await site.hosts[1].until(answers[0][1]["id"], "succeeded")


async def test_a_form_of_one_host_is_taken_by_the_other(site: Site) -> None:
    """The proof in a form and the cookie beside it hold at the other process; a wrong proof holds at none."""
    site.origin.routes["/form"] = behaviours.serve(raw(1000, seed=32))
    async with site.hosts[0].client.get("/", headers=BROWSER) as answer:
        proof = re.search(r'name="proof" value="(\w+)"', await answer.text())
        cookies = {"fetcher_form": answer.cookies["fetcher_form"].value}
    assert proof is not None
    form = {"proof": proof[1], "url": site.origin.url("/form"), "disk_format": "raw"}
    options = {"cookies": cookies, "headers": BROWSER, "allow_redirects": False}
    for wrong in (0, 1):
        data = {**form, "proof": "0" * len(proof[1])}
        async with site.hosts[wrong].client.post("/page/submit", data=data, **options) as answer:
            assert answer.status == 403
    async with site.hosts[1].client.post("/page/submit", data=form, **options) as answer:
        assert answer.status == 303
        import_id = answer.headers["Location"].rpartition("/")[2]
    await site.hosts[0].until(import_id, "succeeded")


async def test_a_webhook_is_sent_once_whoever_runs_the_import(site: Site) -> None:
    """Submitted at both hosts, run by either, told by the one that leads: each import once."""
    inbox = site.origin.routes["/hook"] = Inbox()
    site.origin.routes["/told"] = behaviours.serve(raw(1000, seed=33))
    made = [
        await site.hosts.submit(n % 2, url=site.origin.url("/told"), notify_url=site.origin.url("/hook"))
        for n in range(6)
    ]
    names = {one["id"] for one in made}
    for number, one in enumerate(made):
        await site.hosts[(number + 1) % 2].until(one["id"], "succeeded")
    listed = ", ".join(f"'{one}'" for one in names)
    await site.until(
        f"SELECT count(*) FROM notices WHERE import_id IN ({listed}) AND due_at IS NOT NULL", [(0,)]
    )
    assert sorted(request.header("webhook-id") or "" for request, _, _ in inbox.messages) == sorted(names)


async def test_usage_is_exact_after_another_host_took_over(site: Site) -> None:
    """Bytes that a lost host's import holds count once meanwhile, and are one image's at the end."""
    held = site.origin.routes["/held"] = Held(34)
    sql = "SELECT coalesce(sum(images), 0)::int, coalesce(sum(bytes), 0)::bigint FROM usage"
    [(images, size)] = site.rows(sql)
    made = await site.hosts.submit(0, url=site.origin.url("/held"))
    await site.hosts[0].until(made["id"], "running")
    there = int(site.hosts.runs_at(made["id"])[-1])
    await site.hosts[there].kill()
    async with asyncio.timeout(PATIENT_SECONDS):
        while held.asked < 2:
            await asyncio.sleep(0.05)
    site.check_usage()
    held.opened.set()
    await site.hosts[1 - there].until(made["id"], "succeeded")
    await site.hosts[there].start()
    assert site.rows(sql) == [(images + 1, size + SIZE)]
    site.check_usage()
    for number in range(2):
        shown = (await site.hosts[number].call("GET", "/v2/info/usage"))[1]["usage"]
        assert shown["image_count_total"]["usage"] == images + 1


async def test_a_turn_of_a_schedule_is_taken_once(site: Site) -> None:
    """One host leads each chore; the other one does when it is killed, and repeats no turn that was taken."""
    body = {"catalogue": "ubuntu:26.04", "name": "ubuntu", "convert_to": None}
    status, made = await site.hosts[0].call("POST", "/schedules", json=body)
    assert status == 201, made
    turn = "SELECT count(*) FROM imports WHERE url LIKE '%20260401.img'"
    await site.until(turn, [(1,)])
    [(leader,)] = site.rows("SELECT host FROM chores WHERE name = 'schedules'")
    await site.hosts[int(leader[-1])].kill()
    other = f"host{1 - int(leader[-1])}"
    await site.until("SELECT name, host FROM chores ORDER BY 1", [(name, other) for name in CHORES])
    async with asyncio.timeout(PATIENT_SECONDS):
        while (await site.hosts[int(other[-1])].call("GET", f"/schedules/{made['id']}"))[1]["code"] != "ok":
            await asyncio.sleep(0.05)
    assert site.rows(turn) == [(1,)]
    assert site.rows(f"SELECT count(*) FROM images WHERE size = {len(BODIES['20260401'])}") == [(1,)]
    await site.hosts[int(leader[-1])].start()


async def test_an_operator_sees_all_hosts(site: Site) -> None:
    """`fetcher cluster`, a process of its own, shows both, what they run, and each chore at one of them."""
    await site.until("SELECT count(*) FROM chores", [(len(CHORES),)])
    held = site.origin.routes["/shown"] = Held(35)
    made = await site.hosts.submit(0, url=site.origin.url("/shown"))
    await site.hosts[0].until(made["id"], "running")
    there = site.hosts.runs_at(made["id"])
    async with asyncio.timeout(PATIENT_SECONDS):
        while True:
            shown = await site.cluster()
            if {host["name"]: host["running"] for host in shown["hosts"]}[there]:
                break
    assert [host["name"] for host in shown["hosts"]] == ["host0", "host1"]
    assert sorted(chore for host in shown["hosts"] for chore in host["chores"]) == CHORES
    assert shown["imports"] == {"running": 1}
    held.opened.set()
    await site.hosts[1].until(made["id"], "succeeded")
