"""The tables, as numbered migrations; readable with `sqlite-utils` or Datasette as they are.

Each file of `migrations/` is one migration, named `NNNN_what.sql`, and never changes
(`tests/index/test_migrations.py` holds that). What a later version needs is a further file.
"""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from sqlite_utils.db import Database
from sqlite_utils.migrations import Migrations

from fetcher.index.sqlite.soundness import check_version

FILES = Path(__file__).parent / "migrations"

migrations = Migrations("glance-fetcher")


def migrate(db: Database) -> None:
    """Bring a file of any earlier version up to date, all at once: a start that is cut off changes nothing.

    Raises:
        StoreFailed: It is no index of ours, or a later version's.
    """
    check_version(db, migrations)
    if migrations.pending(db):
        with db.atomic():
            migrations.apply(db)


def statements(script: str) -> Iterator[str]:
    """Split a script into its statements; a trigger's own semicolons end none.

    Source: https://www.sqlite.org/c3ref/complete.html
    """
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement.strip()
            statement = ""


def _register(file: Path) -> None:
    script = file.read_text(encoding="utf-8")

    @migrations(name=f"m{file.stem}")
    def apply(db: Database) -> None:
        for statement in statements(script):
            db.execute(statement)


for _file in sorted(FILES.glob("*.sql")):
    _register(_file)
