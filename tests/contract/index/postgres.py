"""A PostgreSQL server of the tests' own: in a folder of its own, on a socket there, gone with them."""

import asyncio
import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

from fetcher.index.postgres.access import Access
from fetcher.index.postgres.index import Index as PostgresIndex
from fetcher.index.protocol import Index
from fetcher.index.values import Worker
from tests.contract.index.places import QuotaOf

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))
# No server runs as root, and what is written here outlives no power loss on purpose.
USER = "nobody" if os.geteuid() == 0 else None
LOCALE = "--locale=C.UTF-8"
SETTINGS = (
    "-c listen_addresses= -c fsync=off -c max_connections=80 -c shared_buffers=16MB"
    " -c min_wal_size=32MB -c max_wal_size=128MB"
)
# Each database is hundreds of files, which a disk writes and removes for nobody's use.
MEMORY = Path("/dev/shm")
ROOM_BYTES = 2 * 2**30


def run(program: str, *arguments: str) -> None:
    """Run a program of PostgreSQL's, and show what it says where it fails."""
    command = [str(PROGRAMS[-1] / program), *arguments]
    done = subprocess.run(command, user=USER, capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def server() -> Iterator[str]:
    """A running server; where it is, as libpq takes it, without a database."""
    if not PROGRAMS:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    if os.geteuid() not in {entry.pw_uid for entry in pwd.getpwall()}:
        pytest.skip("PostgreSQL starts for users that have a name only: run the tests as one of /etc/passwd")
    has_room = os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM_BYTES
    folder = Path(tempfile.mkdtemp(prefix="fetcher-pg-", dir=MEMORY if has_room else None))
    if USER is not None:
        shutil.chown(folder, USER)
    data = str(folder / "data")
    try:
        run(
            "initdb",
            "-D",
            data,
            "-U",
            "fetcher",
            "-A",
            "trust",
            "--no-sync",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
        )
        start(folder)
        try:
            yield f"host={folder} user=fetcher"
        finally:
            if (folder / "data" / "postmaster.pid").exists():
                stop(folder, "immediate")
    finally:
        shutil.rmtree(folder)


def stop(folder: Path, how: str) -> None:
    """Stop the server in a folder: `fast` as an operator does, `immediate` as a crash does."""
    run("pg_ctl", "-D", str(folder / "data"), "-w", "-m", how, "stop")


def start(folder: Path) -> None:
    """Start the server in a folder, again."""
    options = f"-k {folder} {SETTINGS}"
    run("pg_ctl", "-D", str(folder / "data"), "-w", "-l", str(folder / "log"), "-o", options, "start")


def folder_of(server: str) -> Path:
    """Return where a server has its socket and its data."""
    return Path(dict(part.split("=", 1) for part in server.split())["host"])


class PostgresPlace:
    """A database.

    Args:
        engine: The kind of engine that its hosts have.
    """

    def __init__(self, url: str, engine: str = "postgres") -> None:
        self.url = url
        self.engine = engine

    @property
    def as_url(self) -> str:
        """The same as an operator writes it."""
        parts = dict(part.split("=", 1) for part in self.url.split())
        return f"postgresql://{parts['user']}@/{parts['dbname']}?host={quote(parts['host'], safe='')}"

    def open(self, quota_of: QuotaOf | None = None, worker: Worker | None = None) -> PostgresIndex:
        return PostgresIndex(Access(url=self.url), quota_of=quota_of, worker=worker)

    async def dump(self, index: Index) -> str:
        with psycopg.connect(self.url) as connection:
            tables = connection.execute("SELECT relname FROM pg_stat_user_tables").fetchall()
            rows = [connection.execute(f'SELECT t::text FROM "{name}" AS t').fetchall() for (name,) in tables]
        return str(rows)


class PostgresPlaces:
    """Databases of one server."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._numbers = itertools.count()

    def new(self) -> PostgresPlace:
        """A database with the tables of today and no rows: a copy of one that the migrations made."""
        return self._create(f"TEMPLATE {self._migrated}")

    def empty(self) -> PostgresPlace:
        """A database without any tables."""
        return self._create("")

    def drop(self, place: PostgresPlace) -> None:
        """Remove a database, whoever is still connected."""
        self._run(f"DROP DATABASE {name_of(place)} WITH (FORCE)")

    @cached_property
    def _migrated(self) -> str:
        place = self.empty()
        with ThreadPoolExecutor(1) as other:  # The caller may be in a loop.
            other.submit(lambda: asyncio.run(open_once(place))).result()
        return name_of(place)

    def _create(self, how: str) -> PostgresPlace:
        name = f"place{next(self._numbers)}"
        self._run(f"CREATE DATABASE {name} {how}")
        return PostgresPlace(f"{self._server} dbname={name}")

    def _run(self, statement: str) -> None:
        with psycopg.connect(f"{self._server} dbname=postgres", autocommit=True) as connection:
            connection.execute(statement.encode())


def name_of(place: PostgresPlace) -> str:
    """The name of a database."""
    return place.url.rpartition("=")[2]


async def open_once(place: PostgresPlace) -> None:
    """Have the migrations applied."""
    async with place.open():
        pass
