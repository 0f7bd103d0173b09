"""Migrations: numbered files that never change, and every earlier index comes up to date."""

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlite_utils.db import Database

from fetcher.index.sqlite.schema import FILES, migrate, migrations, statements
from fetcher.index.sqlite.soundness import missing_parts

NAMES = [file.stem for file in sorted(FILES.glob("*.sql"))]
FROZEN = Path(__file__).with_name("migrations.sha256")


def test_a_migration_never_changes() -> None:
    """An index that has been through one was made by these very bytes; what differs is a further file."""
    frozen = dict(line.split()[::-1] for line in FROZEN.read_text().splitlines())
    assert frozen == {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(FILES.glob("*.sql"))
    }, "Write a new migration instead; add the line of a new one to migrations.sha256 (sha256sum *.sql)."


@pytest.mark.parametrize("name", NAMES)
def test_an_index_of_every_version_comes_up_to_date(name: str) -> None:
    """Whatever was applied up to a version, the next start gives it the tables of today."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        db = Database(connection)
        migrations.apply(db, stop_before=f"m{name}")
        migrate(db)
        assert missing_parts(db, migrate) == []
        assert {row.name for row in migrations.applied(db)} == {f"m{other}" for other in NAMES}


def test_all_that_are_pending_apply_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A start that is cut off in the last one leaves the file as the earlier version knows it."""
    last = migrations._migrations[-1]
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        db = Database(connection)
        migrations.apply(db, stop_before=f"m{NAMES[1]}")
        before = list(connection.iterdump())

        def break_off(db: Database) -> None:
            db.execute("CREATE TABLE half (a)")
            raise sqlite3.OperationalError("cut off")

        monkeypatch.setattr(last, "fn", break_off)
        with pytest.raises(sqlite3.OperationalError):
            migrate(db)
        assert list(connection.iterdump()) == before


def test_statements_end_where_sqlite_says() -> None:
    """A trigger with several statements is one."""
    script = "-- W.\n\nCREATE TABLE a (b);\nCREATE TRIGGER t AFTER INSERT ON a BEGIN\nDELETE FROM a;\nEND;\n"
    assert [statement.split()[-1] for statement in statements(script)] == ["(b);", "END;"]
