"""A PostgreSQL server with a standby that has all that it acknowledges, and takes its place when promoted."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import psycopg

from tests.contract.index import postgres


class Pair:
    """Two servers."""

    def __init__(self, primary: Path, standby: Path) -> None:
        self.primary = primary
        self.standby = standby
        both = quote(f"{primary},{standby}", safe=",")
        self._places = f"host={both}&target_session_attrs=read-write"
        self._primary_url = f"host={primary} user=fetcher dbname=postgres"

    def new(self, name: str) -> str:
        """Make a database; its URL on whichever of them takes writes comes back."""
        with psycopg.connect(self._primary_url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return f"postgresql://fetcher@/{name}?{self._places}"

    def lose_primary(self) -> None:
        """Have the primary end as in a crash."""
        postgres.stop(self.primary, "immediate")

    def promote(self) -> None:
        """Make the standby the one that takes writes."""
        postgres.run("pg_ctl", "-D", str(self.standby / "data"), "-w", "promote")


@contextmanager
def pair() -> Iterator[Pair]:
    """Run both; a commit is acknowledged when the standby has it."""
    with postgres.server() as server:
        primary = postgres.folder_of(server)
        folder = Path(tempfile.mkdtemp(prefix="fetcher-pg-"))
        try:
            if postgres.USER is not None:
                shutil.chown(folder, postgres.USER)
            copy = (
                "-D",
                str(folder / "data"),
                "-h",
                str(primary),
                "-U",
                "fetcher",
                "-R",
                "-X",
                "stream",
                "-c",
                "fast",
            )
            postgres.run("pg_basebackup", *copy, "--no-sync")
            postgres.start(folder)
            try:
                with psycopg.connect(f"{server} dbname=postgres", autocommit=True) as connection:
                    connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
                    connection.execute("SELECT pg_reload_conf()")
                yield Pair(primary, folder)
            finally:
                postgres.stop(folder, "immediate")
        finally:
            shutil.rmtree(folder)
