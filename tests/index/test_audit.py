"""The audit trail is a chain: whoever changes, removes or adds a line is found out."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlite_utils
from sqlite_utils.db import Database

from fetcher.cli.exits import Exit
from fetcher.index import Index
from fetcher.index.sqlite.bookkeeping.audit import note_line
from fetcher.index.trail import START
from fetcher.index.values import AuditHead
from tests.cli.conftest import Fetcher, fetcher
from tests.images import raw
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.service import Running

__all__ = ["fetcher"]  # The fixture of the command line.

OLD = "2001-01-01T00:00:00.000000Z"


def lines(db: Database, count: int, at: str | None = None) -> None:
    for number in range(count):
        moment = at or datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        note_line(db, {"at": moment, "project_id": "p", "user_id": "u", "action": f"made {number}"})


async def filled(index: Index) -> AuditHead:
    await index.connection.write(lines, 6)
    return await index.audit.head()


FORGERIES: dict[str, str] = {
    "changed": "UPDATE audit SET user_id = 'nobody' WHERE id = 3",
    "moved-in-time": "UPDATE audit SET at = '2020-01-01T00:00:00.000000Z' WHERE id = 3",
    "removed": "DELETE FROM audit WHERE id = 3",
    "first-removed": "DELETE FROM audit WHERE id = 1",
    "last-removed": "DELETE FROM audit WHERE id = 6",
    "added": "INSERT INTO audit (at, project_id, user_id, action) VALUES ('2020', 'p', 'u', 'x')",
    "digest-changed": f"UPDATE audit SET hash = '{START}' WHERE id = 6",
    "digests-dropped": "UPDATE audit SET hash = NULL",
    "all-removed": "DELETE FROM audit",
}


@pytest.mark.parametrize("sql", FORGERIES.values(), ids=FORGERIES.keys())
async def test_what_is_done_to_a_line_is_found_out(tmp_path: Path, sql: str) -> None:
    """With the head that was exported before, no change of the trail goes unnoticed."""
    async with Index(tmp_path / "index.sqlite") as index:
        head = await filled(index)
        assert (await index.audit.verify(head)).faults == []
        await index.connection.write(lambda db: db.execute(sql).rowcount)
        assert (await index.audit.verify(head)).faults


async def test_a_trail_written_anew_lacks_the_head_that_was_exported(tmp_path: Path) -> None:
    """Whoever computes all digests of a forged trail makes one that is whole, and is betrayed by the head."""

    def forge(db: Database) -> None:
        found = list(db.query("SELECT * FROM audit ORDER BY id"))
        db.execute("DELETE FROM audit")
        for line in found:
            line.pop("hash")
            note_line(db, line | {"user_id": "somebody else"})

    async with Index(tmp_path / "index.sqlite") as index:
        head = await filled(index)
        await index.connection.write(forge)
        assert (await index.audit.verify()).faults == []
        [fault] = (await index.audit.verify(head)).faults
        assert str(head) in fault


async def test_lines_that_go_by_age_leave_the_chain_whole(tmp_path: Path) -> None:
    """The anchor keeps what the oldest line left is chained to; an empty trail goes on where it was."""
    async with Index(tmp_path / "index.sqlite") as index:
        await index.connection.write(lines, 4, OLD)
        old = await index.audit.head()
        await index.connection.write(lines, 3)
        head = await index.audit.head()
        now = datetime.now(UTC)
        young = {"keys_before": now, "retired_before": now}
        assert await index.maintenance.forget(audit_before=now - timedelta(days=1), **young) == 4
        report = await index.audit.verify(head)
        assert (report.faults, report.lines, report.head) == ([], 3, head)
        assert (await index.audit.verify(old)).faults == []
        assert await index.maintenance.forget(audit_before=now + timedelta(days=1), **young) == 3
        assert await index.audit.head() == head
        await index.connection.write(lines, 1)
        assert (await index.audit.head()).number == 8
        assert (await index.audit.verify(head)).faults == []


async def test_a_line_from_the_future_keeps_nothing_from_going(tmp_path: Path) -> None:
    """A clock that was wrong for a moment does not make the trail grow for ever."""
    async with Index(tmp_path / "index.sqlite") as index:
        await index.connection.write(lines, 1, "2999-01-01T00:00:00.000000Z")
        await index.connection.write(lines, 2, OLD)
        now = datetime.now(UTC)
        gone = await index.maintenance.forget(audit_before=now, keys_before=now, retired_before=now)
        assert gone == 3


async def test_lines_of_before_the_chain_are_counted_apart(tmp_path: Path) -> None:
    """An index of an earlier version has lines without a digest: nothing is claimed of them."""

    def earlier(db: Database) -> None:
        lines(db, 2)
        db.execute("UPDATE audit SET hash = NULL")

    async with Index(tmp_path / "index.sqlite") as index:
        await index.connection.write(earlier)
        await index.connection.write(lines, 2)
        report = await index.audit.verify()
        assert (report.faults, report.lines, report.unchained) == ([], 4, 2)


async def test_the_head_is_exported_and_held_against_the_trail(fetcher: Fetcher, tmp_path: Path) -> None:
    """`fetcher audit head` beside a server, and `fetcher audit verify` before and after a forgery."""
    disk = raw(3000)
    async with Origin({"/disk": behaviours.serve(disk)}) as origin, Running(tmp_path, origin) as service:
        made = await service.run(url=origin.url("/disk"))
        await service.call("DELETE", f"/v2/images/{made['image_id']}")
        config = ("--config", service.config)
        head = (await fetcher("audit", "head", *config)).out.strip()
        assert head.startswith("3:")  # Submitted, activated, deleted.
        told = (await fetcher("audit", "head", *config, "--json")).json
        assert f"{told['number']}:{told['digest']}" == head
        whole = await fetcher("audit", "verify", "--head", head, *config)
        assert (whole.code, whole.out.strip()) == (Exit.OK, head)
        assert (await fetcher("audit", "verify", "--head", "nonsense", *config)).code == Exit.USAGE
    db = sqlite_utils.Database(service.data / "index.sqlite")
    with db.atomic():
        db.execute("UPDATE audit SET user_id = 'mallory' WHERE id = 2")
    db.conn.close()
    forged = await fetcher("audit", "verify", "--head", head, *config, "--json")
    assert forged.code == Exit.DAMAGED
    assert forged.json["faults"] == ["line 2 was changed, or what is before it"]
    assert "line 2" in (await fetcher("audit", "verify", *config)).err.lower()
    found = await fetcher("store", "check", *config, "--json")
    assert {finding["kind"] for finding in found.json["findings"]} == {"audit-broken"}
