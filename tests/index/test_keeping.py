"""How much is kept of what has ended: a number and bytes for each project, whatever its age."""

from pathlib import Path

from sqlite_utils import Database

from fetcher.index import Index
from fetcher.index.sqlite.imports.keeping import OVERFULL
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.service import Running


async def test_looking_reads_an_index_alone(index: Index) -> None:
    """A million records are counted once a minute: no row of theirs is read for that."""

    def plan(db: Database) -> str:
        bounds = {"most": 1, "most_bytes": 1}
        return " ".join(row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {OVERFULL}", bounds))

    assert "USING COVERING INDEX imports_kept" in await index.connection.read(plan)


async def test_i11_records_of_ended_imports_have_a_bound(tmp_path: Path) -> None:
    """A project that makes imports without end keeps the newest; the bound is published."""
    rules = {"quota": {"max_records": 3}, "maintenance": {"max_audit_lines": 4, "repair": False}}
    async with Origin({"*": behaviours.status(404)}) as origin, Running(tmp_path, origin, **rules) as service:
        ids = [(await service.run(url=origin.url(f"/{number}")))["id"] for number in range(6)]
        await service.service.app.state.services.maintenance.forget_surplus()
        assert [shown["id"] for shown in (await service.get("/imports"))["imports"]] == ids[:2:-1]
        limits = (await service.get("/limits"))["limits"]
        assert limits["project_max_records"]["value"] == 3
        assert limits["project_max_record_bytes"]["value"] == 268_435_456
        db = Database(service.data / "index.sqlite")
        assert db.table("audit").count == 4
        db.close()


async def test_i11_a_line_of_the_audit_trail_has_a_bound(tmp_path: Path) -> None:
    """An URL of eight kilobytes leaves no eight kilobytes in a trail that is kept for a year."""
    async with Origin({"*": behaviours.status(404)}) as origin, Running(tmp_path, origin) as service:
        await service.run(url=origin.url("/" + "x" * 7000))
        db = Database(service.data / "index.sqlite")
        (size,) = db.execute("SELECT max(length(url) + length(detail)) FROM audit").fetchone()
        assert size < 1024
        db.close()
