"""Any order of submit, cancel, delete, crash, scrub and maintenance: index, store and a model agree."""

import asyncio
import hashlib
import shutil
import tempfile
from concurrent.futures import Future
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from fetcher.errors import Conflict, Failure, QuotaExceeded, StoreFailed, UnknownImage
from fetcher.lifecycle import State
from fetcher.maintenance.fsck import Fsck
from fetcher.model import Actor, Submission
from fetcher.service import Service
from fetcher.store.filesystem.disk import Disk
from tests.images import raw
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.maintenance.test_service import rot
from tests.service import Running
from tests.test_crash import agree

ACTOR = Actor(project_id="default", user_id="u", roles=frozenset({"admin"}))
BODIES = {"/a": raw(20_000), "/b": raw(9_000, seed=1) + bytes(50_000), "/same-as-a": raw(20_000)}
HELD = {f"/held{path[1:]}": body for path, body in BODIES.items()}
ALL = BODIES | HELD
REFUSED = "/refused"
QUOTA_IMAGES = 6


class Mains(Disk):
    """A disk with a plug: once pulled, nothing changes on it any more."""

    is_dead = False

    def _check(self) -> None:
        if self.is_dead:
            raise OSError(5, "the power is gone")

    def open(self, path: Path, flags: int) -> int:
        self._check()
        return super().open(path, flags)

    def write(self, descriptor: int, piece: memoryview, offset: int) -> int:
        self._check()
        return super().write(descriptor, piece, offset)

    def rename(self, path: Path, target: Path) -> None:
        self._check()
        super().rename(path, target)

    def unlink(self, path: Path) -> None:
        self._check()
        super().unlink(path)


class StoreMachine(RuleBasedStateMachine):
    """One store through many lives; the model is a dictionary of what was submitted and deleted."""

    @initialize()
    def begin(self) -> None:
        """Open the services on an empty folder, beside an origin that holds some answers back."""
        self.folder = Path(tempfile.mkdtemp(prefix="machine-"))
        self.runner = asyncio.Runner()
        self.paths: dict[str, str] = {}
        self.images: dict[str, str] = {}
        self.cancelled: set[str] = set()
        self.deleted: set[str] = set()
        self.runner.run(self._begin())

    async def _begin(self) -> None:
        self.opened = asyncio.Event()
        routes = {path: behaviours.serve(body) for path, body in BODIES.items()}
        held = {path: behaviours.gated(behaviours.serve(body), self.opened) for path, body in HELD.items()}
        self.origin = Origin({**routes, **held, REFUSED: behaviours.serve(b"<!doctype html>")})
        await self.origin.__aenter__()
        running = Running(self.folder, self.origin, quota={"max_images": QUOTA_IMAGES}, **self.sections())
        running.write_config()
        self.service = Service(running.config)
        await self._open()

    def sections(self) -> dict[str, dict[str, Any]]:
        """Further keys of the configuration."""
        return {}

    def cut_index(self) -> None:
        """Have the index write nothing from here on."""
        self.services.index.connection._begin = refuse_all

    def judge_rows(self) -> None:
        """Compare what is left with what the index says, when nobody has it open."""
        agree(self.folder / "data")

    async def _open(self) -> None:
        self.stack = AsyncExitStack()
        self.services = await self.stack.enter_async_context(self.service.open_services())
        self.mains = Mains()
        self.services.store._disk = self.mains

    @rule(path=st.sampled_from([*ALL, REFUSED]))
    def submit(self, path: str) -> None:
        """Submit a URL; only the quota may refuse it."""
        submission = Submission(url=self.origin.url(path), disk_format="raw", max_bytes=1_000_000)
        try:
            record = self.runner.run(self.services.importer.submit(ACTOR, submission))
        except QuotaExceeded:
            assert self.runner.run(self.services.index.usage.find("default")).images == QUOTA_IMAGES
            return
        self.paths[record.id], self.images[record.id] = path, record.image_id

    @rule(which=st.integers(0, 30), steps=st.integers(0, 40))
    def cancel(self, which: int, steps: int) -> None:
        """Cancel some import, after it had some turns of the loop."""
        if self.paths:
            import_id = sorted(self.paths)[which % len(self.paths)]
            with suppress(Conflict):
                self.runner.run(self._after(steps, self.services.importer.cancel(import_id, ACTOR)))
                self.cancelled.add(import_id)

    @rule(which=st.integers(0, 30), steps=st.integers(0, 40))
    def delete(self, which: int, steps: int) -> None:
        """Delete some image, whatever its import is at."""
        if self.paths:
            import_id = sorted(self.paths)[which % len(self.paths)]
            with suppress(Conflict, UnknownImage):
                delete = self.services.importer.delete_image(self.images[import_id], ACTOR)
                self.runner.run(self._after(steps, delete))
                self.deleted.add(import_id)

    async def _after(self, steps: int, work: Any) -> None:
        for _ in range(steps):
            await asyncio.sleep(0)
        await work

    @rule(steps=st.integers(0, 200))
    def crash(self, steps: int) -> None:
        """Pull the plug after some turns of the loop, and start again on what the disk had by then."""
        self.runner.run(self._crash(steps))

    async def _crash(self, steps: int) -> None:
        for _ in range(steps):
            await asyncio.sleep(0)
        self.mains.is_dead = True
        self.cut_index()
        with suppress(Failure):
            await self.services.importer.close(0)
        await self.stack.aclose()
        await self._open()

    @rule()
    def restart(self) -> None:
        """Stop in peace and start again."""
        self.runner.run(self._restart())

    async def _restart(self) -> None:
        await self.stack.aclose()
        await self._open()

    @rule(which=st.integers(0, 5))
    def rot_and_scrub(self, which: int) -> None:
        """A blob rots; the scrub finds it and the repair brings it back."""
        self.runner.run(self._settle())
        blobs = sorted(path for path in self.services.store.blobs.rglob("*") if path.is_file())
        if blobs:
            rot(blobs[which % len(blobs)])
            assert self.runner.run(self.services.maintenance.scrub(before=datetime.now(UTC)))["corrupt"] == 1
            self.opened.set()
            assert self.runner.run(self.services.maintenance.repair()) == 1

    @rule()
    def gc(self) -> None:
        """A stranger's file among the blobs is all that gc would remove, and check finds no more."""
        self.runner.run(self._settle())
        stranger = self.services.store.blob_path("0" * 64)
        stranger.write_bytes(b"?")
        self.runner.run(self._gc(stranger))
        stranger.unlink()

    async def _gc(self, stranger: Path) -> None:
        fsck = Fsck(self.services.index, self.services.store, self.services.folder, bytes_per_second=1 << 40)
        assert [one.address for one in await fsck.unknown_files()] == [stranger.name]
        assert await fsck.leftovers() == []
        found = [finding.kind async for finding in fsck.findings()]
        assert found == ["file-unknown"]

    @rule()
    def do_chores(self) -> None:
        """Maintenance while imports run harms none of them."""
        self.runner.run(self.services.maintenance.do_chores())
        self.runner.run(self.services.maintenance._settle_loose(None))

    @rule()
    def settle(self) -> None:
        """Let everything end, then compare with the model."""
        self.runner.run(self._settle())

    async def _settle(self) -> None:
        self.opened.set()
        for _ in range(10_000):
            going = [await self.services.importer.find(import_id, ACTOR) for import_id in self.paths]
            going = [record for record in going if not record.state.is_final]
            if not going and not any(self.services.importer.counts().values()):
                break
            await asyncio.sleep(0.002)
        assert going == []
        self.opened.clear()
        await self._compare()

    async def _compare(self) -> None:
        active: dict[str, str] = {}
        for import_id, path in self.paths.items():
            record = await self.services.importer.find(import_id, ACTOR)
            assert record.state.is_final
            expected = State.REFUSED if path == REFUSED else State.SUCCEEDED
            if import_id in self.cancelled:
                expected = State.CANCELLED
            if import_id in self.deleted:  # Which cancels an import that still writes the image.
                assert record.state in {expected, State.CANCELLED}, record
            else:
                assert record.state is expected, record
            if record.state is State.SUCCEEDED and import_id not in self.deleted:
                active[self.images[import_id]] = path
        await self._compare_images(active)

    async def _compare_images(self, active: dict[str, str]) -> None:
        digests = {hashlib.sha256(ALL[path]).hexdigest() for path in active.values()}
        files = {path.name for path in self.services.store.blobs.rglob("*") if path.is_file()}
        assert files == digests
        assert await self.services.store.staged_paths() == []
        for image_id, path in active.items():
            image = await self.services.index.images.find(image_id, ACTOR)
            assert image.sha256 == hashlib.sha256(ALL[path]).hexdigest()
        usage = await self.services.index.usage.find("default")
        held = (usage.images, usage.bytes, usage.held_bytes)
        assert held == (len(active), sum(len(ALL[path]) for path in active.values()), 0)

    @invariant()
    def the_count_is_exact(self) -> None:
        """At every moment, usage is what the rows say."""
        if hasattr(self, "services"):
            assert self.runner.run(self.services.index.maintenance.miscounted()) == []

    def teardown(self) -> None:
        """Come to rest once more, and judge what is on disk."""
        if not hasattr(self, "services"):
            return
        try:
            self.runner.run(self._settle())
        finally:
            self.runner.run(self._end())
            self.runner.close()
        self.judge_rows()
        shutil.rmtree(self.folder)

    async def _end(self) -> None:
        await self.stack.aclose()
        await self.origin.__aexit__(None, None, None)
        await asyncio.sleep(0)


def refuse_all(batch: list[tuple[Any, Future[Any]]], _db: Any) -> bool:
    """Stand in for an index whose disk is gone."""
    for _work, future in batch:
        future.set_exception(StoreFailed(reason="the power is gone"))
    return False


TestStoreMachine = StoreMachine.TestCase
TestStoreMachine.settings = settings(
    max_examples=12, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck)
)
