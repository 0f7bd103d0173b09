"""What must hold over all hosts: at any moment, and when everything has ended."""

import asyncio
import hashlib
from collections import Counter
from contextlib import suppress
from datetime import timedelta
from typing import Any
from unittest import mock

import psycopg
from psycopg.rows import dict_row

from fetcher.index.postgres.bookkeeping.counts import COUNTED
from fetcher.store.s3 import inventory
from fetcher.store.s3.bucket import Bucket
from fetcher.store.s3.records import pointer_in
from fetcher.store.s3.wire.reader import read_whole
from tests.torture_hosts.clients import Clients
from tests.torture_hosts.ground import QUOTA_IMAGES, Ground

PATIENT_SECONDS = 120
ENDS = ("activated", "delivered", "refused", "failed", "cancelled")


class Judge:
    """Looks past all wires, with nobody's eyes but its own.

    Attributes:
        stored_bytes: Of all images that were made but for those of crowds.
        leftovers: What `gc` removed at rests: bytes that no blob and nothing staged names.
    """

    def __init__(self, ground: Ground, clients: Clients) -> None:
        self._ground = ground
        self._clients = clients
        self.stored_bytes = 0
        self.leftovers: Counter[str] = Counter()
        self.ended: dict[str, int] = {}

    def _expect(self, holds: bool, when: str, words: str) -> None:
        if not holds:
            self._clients.violations.append(f"{when}: {words}")

    def _rows(self, *statements: str) -> list[list[dict[str, Any]]]:
        """Read rows of one picture of the records."""
        with psycopg.connect(self._ground.database_url, row_factory=dict_row) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            return [connection.execute(sql.encode()).fetchall() for sql in statements]

    async def now(self, when: str) -> None:
        """Judge at any moment; a database that is away is judged later."""
        known = set(self._clients.taken)
        try:
            found = await asyncio.to_thread(self._look)
        except psycopg.OperationalError:
            return
        imports, images, counted, usage, twice = found
        lost = known - {row["id"] for row in imports}
        self._expect(not lost, when, f"imports that were answered 202 are gone: {lost}")
        for row in images:
            self._expect(
                row["state"] == "succeeded", when, f"active image {row['id']} of a {row['state']} import"
            )
            path = self._clients.taken.get(row["import_id"])
            expected = self._clients.known() if path is None else {self._clients.flapping.digests[path]}
            self._expect(row["sha256"] in expected, when, f"image {row['id']} has other bytes")
        self._expect(len(images) <= QUOTA_IMAGES, when, f"{len(images)} images")
        self._expect(counted == usage, when, f"usage {usage} is not {counted}")
        self._expect(not twice, when, f"imports that ended more than once: {twice}")

    def _look(self) -> list[list[dict[str, Any]]]:
        names = ", ".join(f"'{one}'" for one in ENDS)
        return self._rows(
            "SELECT id FROM imports",
            """SELECT images.id, images.sha256, imports.id AS import_id, imports.state
               FROM images LEFT JOIN imports ON imports.image_id = images.id WHERE status = 'active'""",
            f"SELECT project_id, images, bytes, held_bytes FROM ({COUNTED}) AS c WHERE images > 0",
            "SELECT project_id, images, bytes, held_bytes FROM usage WHERE images > 0",
            f"""SELECT import_id, array_agg(action) AS actions FROM audit
                WHERE action IN ({names}) GROUP BY 1 HAVING count(*) > 1""",
        )

    async def until_ended(self, when: str) -> bool:
        """Wait until no import is under way; one that never ends is a violation."""
        going: list[dict[str, Any]] = []
        sql = "SELECT id, state, phase, worker, claim, lease_until FROM imports WHERE ended_at IS NULL"
        for _ in range(PATIENT_SECONDS * 4):
            [going] = await asyncio.to_thread(self._rows, sql)
            if not going:
                return True
            await asyncio.sleep(0.25)
        self._expect(False, when, f"imports that do not end: {going[:5]}")
        for host in self._ground.hosts:
            with suppress(ProcessLookupError):
                host.tell_tasks()
        return False

    async def at_rest(self, when: str) -> None:
        """Judge when every host has been started anew, and nothing runs."""
        await self.now(when)
        stuck, secrets, made, states, ends, images = await asyncio.to_thread(
            self._rows,
            "SELECT id, status FROM images WHERE status <> 'active'",
            "SELECT import_id FROM import_secrets",
            """SELECT import_id, (detail::json ->> 'size')::bigint AS size FROM audit
               WHERE action = 'activated'""",
            "SELECT state, count(*) AS n FROM imports GROUP BY state",
            "SELECT id, state FROM imports",
            "SELECT id FROM images",
        )
        self._expect(not stuck, when, f"images that wait for nobody: {stuck}")
        self._expect(not secrets, when, f"secrets of ended imports: {secrets}")
        crowds = {one for one, path in self._clients.taken.items() if path.startswith("/crowd")}
        self.stored_bytes = sum(row["size"] for row in made if row["import_id"] not in crowds)
        self.ended = {row["state"]: row["n"] for row in states}
        is_now = {row["id"]: row["state"] for row in ends}
        changed = {
            one: (told, is_now.get(one))
            for one, told in self._clients.ends.items()
            if is_now.get(one) != told
        }
        self._expect(not changed, when, f"ends that were told and are others now: {changed}")
        back = self._clients.deleted & {row["id"] for row in images}
        self._expect(not back, when, f"images whose deletion was acknowledged: {back}")
        found: list[str] = []
        for _ in range(PATIENT_SECONDS):  # A start removes what nobody needs, soon after it is ready.
            found = await (self._differences_in_bucket() if self._ground.bucket else self._differences())
            if not found:
                break
            await asyncio.sleep(1)
        for one in found:
            self._expect(False, when, one)

    async def _needed(self) -> dict[str, int]:
        used, blobs = await asyncio.to_thread(
            self._rows,
            "SELECT DISTINCT sha256 FROM images WHERE sha256 IS NOT NULL",
            "SELECT sha256, size FROM blobs",
        )
        rows = {row["sha256"]: row["size"] for row in blobs}
        self._expect({row["sha256"] for row in used} == set(rows), "rest", "rows of blobs that no image has")
        return rows

    async def _differences(self) -> list[str]:
        """Compare rows and files, and read every file."""
        needed, found = await self._needed(), []
        files = {path.name: path for path in (self._ground.folder / "blobs").rglob("*") if path.is_file()}
        if set(files) != set(needed):
            found.append(f"files and rows differ: {set(files) ^ set(needed)}")
        found += [
            f"other bytes in {sha256}"
            for sha256 in set(files) & set(needed)
            if hashlib.sha256(files[sha256].read_bytes()).hexdigest() != sha256
        ]
        staged = [str(path) for path in (self._ground.folder / "staging").rglob("*") if path.is_file()]
        return found + ([f"left in staging: {staged}"] if staged else [])

    async def _differences_in_bucket(self) -> list[str]:
        """Compare rows and pointers, pointers and objects; sweep as if a day had passed."""
        assert self._ground.bucket is not None
        return await self._ground.bucket.call(self._compare(await self._needed()))

    async def _compare(self, needed: dict[str, int]) -> list[str]:
        bucket = self._ground.bucket
        assert bucket is not None
        found = []
        pointers = {one.key.rpartition("/")[2]: one.key for one in await inventory.listed(bucket, "blobs/")}
        if set(pointers) != set(needed):
            found.append(f"pointers and rows differ: {set(pointers) ^ set(needed)}")
        for sha256 in set(pointers) & set(needed):
            got = await bucket.get(pointers[sha256])
            if got is None:
                continue
            body = await read_whole(bucket, pointer_in(got.body).key, 0, needed[sha256])
            if hashlib.sha256(body).hexdigest() != sha256:
                found.append(f"other bytes in {sha256}")
        staged = [one.key for one in await inventory.listed(bucket, "staging/")]
        if staged:
            found.append(f"left in staging: {staged}")
        return found or await self._sweep(bucket)

    async def _sweep(self, bucket: Bucket) -> list[str]:
        with mock.patch.object(inventory, "ORPHAN_AGE", timedelta(0)):
            self.leftovers["uploads"] += await inventory.sweep_uploads(bucket)
        for one in await inventory.kept(bucket, ()):
            if not one.address:
                self.leftovers["objects"] += 1
                await bucket.delete(one.name)
        left = await bucket.uploads("objects/")
        return [f"uploads that no sweep ends: {left}"] if left else []
