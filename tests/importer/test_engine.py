"""The engine at its edges: half-done commits, faults of ours, a service that is stopping."""

import asyncio
import hashlib
from pathlib import Path

import pytest
import sqlite_utils

from fetcher.errors import NotReady
from fetcher.importer import service as engine
from fetcher.importer.stages import expected_digests as promises
from fetcher.lifecycle import State
from fetcher.model import Actor, Phase, Submission
from tests.images import raw
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.service import Running

ACTOR = Actor(project_id="default", user_id="local")


async def test_a_fault_of_ours_ends_in_a_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What no rule foresaw still ends the import, without a trace and without a word of the cause."""

    def broken(*_arguments: object) -> None:
        raise ZeroDivisionError("secret cause")

    monkeypatch.setattr(promises, "check_digest", broken)
    async with Origin({"/x": behaviours.serve(raw(1000))}) as origin, Running(tmp_path, origin) as service:
        ended = await service.run(url=origin.url("/x"), checksum="sha256:" + "0" * 64)
        assert (ended["state"], ended["verdict"]["code"]) == ("failed", "internal-fault")
        assert "secret" not in str(ended)
        assert service.traces() == []


async def test_a_commit_cut_off_before_its_row_is_undone(tmp_path: Path) -> None:
    """Bytes that were renamed but never became visible are removed at start, and pulled again."""
    body = raw(1000)
    sha256 = hashlib.sha256(body).hexdigest()
    turns = behaviours.in_turn(behaviours.silent(), behaviours.serve(body))
    async with Origin({"/x": turns}) as origin:
        async with Running(tmp_path, origin) as service:
            created = await service.submit(url=origin.url("/x"))
            await origin.wait_requests(1)
        db = sqlite_utils.Database(tmp_path / "data" / "index.sqlite")
        digests = f'{{"sha256": "{sha256}"}}'
        with db.atomic():
            db.execute(
                "UPDATE imports SET phase = ?, state = ?, digests = ? WHERE id = ?",
                [Phase.COMMITTING.value, State.RUNNING.value, digests, created["id"]],
            )
        db.conn.close()
        home = tmp_path / "data" / "blobs" / sha256[:2]
        (home / sha256).write_bytes(b"half")
        async with Running(tmp_path, origin) as service:
            ended = await service.ended(created["id"])
            assert ended["state"] == "succeeded"
            assert (home / sha256).read_bytes() == body


async def test_a_stopping_service_takes_nothing_more(tmp_path: Path) -> None:
    """A submission that could not be kept is refused, not lost."""
    async with Running(tmp_path) as service:
        importer: engine.Importer = service.service.app.state.services.importer
        await importer.close()
        with pytest.raises(NotReady):
            await importer.submit(ACTOR, Submission(url="https://a.example/", max_bytes=1))


async def test_an_import_that_need_not_wait_is_claimed_by_its_submission(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No further transaction claims it or signs its statement: those of its beginning and its end do."""

    async def never(*_arguments: object) -> None:
        raise AssertionError("a transaction more")

    async with Origin({"/x": behaviours.serve(raw(1000))}) as origin, Running(tmp_path, origin) as service:
        services = service.service.app.state.services
        await services.attestor.keys()
        index = services.importer.context.index
        monkeypatch.setattr(index.imports, "claim", never)
        monkeypatch.setattr(index.attestations, "keep", never)
        ended = await service.run(url=origin.url("/x"))
        assert ended["state"] == "succeeded"
        assert await index.attestations.find(ended["image_id"]) is not None


async def test_a_cancelled_submission_is_run_all_the_same(tmp_path: Path) -> None:
    """What was written and claimed when its client left waits for its turn, and has it."""
    async with Origin({"/x": behaviours.serve(raw(1000))}) as origin, Running(tmp_path, origin) as service:
        importer: engine.Importer = service.service.app.state.services.importer
        submission = Submission(url=origin.url("/x"), disk_format="raw", max_bytes=10_000)
        submitting = asyncio.create_task(importer.submit(ACTOR, submission))
        await asyncio.sleep(0)
        submitting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await submitting
        async with asyncio.timeout(60):
            while not (made := await importer.context.index.imports.page(ACTOR, {}, limit=2)):
                await asyncio.sleep(0.01)
        [record] = made
        assert (await service.ended(record.id))["state"] == "succeeded"


async def test_old_imports_are_forgotten(tmp_path: Path) -> None:
    """Ended imports go after the configured time; their images stay."""
    async with Origin({"/x": behaviours.serve(raw(1000))}) as origin, Running(tmp_path, origin) as service:
        ended = await service.run(url=origin.url("/x"))
        keep_nothing_ended(service)
        assert await service.service.app.state.services.importer.forget_old() == 1
        assert (await service.call("GET", f"/imports/{ended['id']}"))[0] == 404
        assert len(service.traces()) == 1


async def test_a_follower_that_is_slow_outlives_its_import(tmp_path: Path) -> None:
    """Forgotten between two events, the import ends its stream without a fault."""
    async with (
        Origin({"/x": behaviours.stall(raw(1000), 500)}) as origin,
        Running(tmp_path, origin) as service,
    ):
        importer = service.service.app.state.services.importer
        created = await service.submit(url=origin.url("/x"))
        events = importer.follow(created["id"], ACTOR, least_seconds=0.0)
        assert not (await anext(events)).state.is_final
        assert (await service.call("DELETE", f"/imports/{created['id']}"))[0] == 204
        await service.ended(created["id"])
        keep_nothing_ended(service)
        assert await importer.forget_old() == 1
        async with asyncio.timeout(60):
            assert [record async for record in events if record.state.is_final] == []


def keep_nothing_ended(service: Running) -> None:
    """Have ended imports forgotten as soon as somebody looks."""
    service.write_config(imports={"keep_finished_days": 1e-9}, maintenance={"keep_idempotency_days": 1e-9})
    service.service.reload()
