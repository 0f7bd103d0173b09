"""Bytes already pulled are used again: after a broken connection, a crash, a restart; never when in doubt."""

import asyncio
import contextlib
import hashlib
import os
import signal
import sqlite3
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from tests.images import raw
from tests.lab import behaviours
from tests.lab.origin import Exchange, Origin
from tests.processes import Process
from tests.service import Running
from tests.test_crash import agree, config

SIZE = 4_000_000
STEP = 262_144
TAG = {"ETag": '"v1"', "Accept-Ranges": "bytes"}
OFTEN = {"resume": {"checkpoint_bytes": STEP, "mark_bytes": 65_536}, "store": {"write_bytes": 65_536}}
OLD = formatdate(1_700_000_000, usegmt=True)


def dated(seconds: float) -> dict[str, str]:
    """Fields of a file that changed so long before it was asked for."""
    return {"Last-Modified": OLD, "Date": formatdate(1_700_000_000 + seconds, usegmt=True)}


def sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def codes(document: dict[str, Any]) -> list[str]:
    return [attempt["code"] for attempt in document["attempts"]]


def offsets(document: dict[str, Any]) -> list[int]:
    return [attempt["offset"] for attempt in document["attempts"]]


def stalled_once(body: bytes) -> behaviours.Behaviour:
    """Fall silent in the middle of the first answer, and send the second one whole."""
    return behaviours.in_turn(
        behaviours.stall(body, SIZE // 2, fields=TAG), behaviours.serve(body, etag='"v1"')
    )


def kept_bytes(data: Path) -> int:
    """Return how many bytes the index says are durable."""
    with contextlib.closing(sqlite3.connect(data / "index.sqlite")) as db:
        return int(db.execute("SELECT kept_bytes FROM pulls").fetchone()[0])


async def whole(service: Process, import_id: str, body: bytes) -> dict[str, Any]:
    """Wait until an import has brought these bytes."""
    ended = await service.until(import_id, "succeeded", "failed", "refused")
    assert ended["digests"]["sha256"] == sha256(body)
    return ended


async def test_cut_ten_times_each_byte_is_served_once(tmp_path: Path) -> None:
    """Every attempt goes on where the last one stopped; each that brought bytes allows another."""
    body = raw(SIZE)
    cuts = [behaviours.cut(body, SIZE // 11, fields=TAG) for _ in range(10)]
    turns = behaviours.in_turn(*cuts, behaviours.serve(body, etag='"v1"'))
    async with Origin({"/x": turns}) as origin, Running(tmp_path, origin) as service:
        ended = await service.run(url=origin.url("/x"))
        assert codes(ended) == ["truncated"] * 10 + ["ok"]
        assert offsets(ended) == [SIZE // 11 * number for number in range(11)]
        assert ended["digests"]["sha256"] == sha256(body)
        assert origin.sent_bytes == SIZE
        assert all(attempt["reason"] and attempt["ended_at"] for attempt in ended["attempts"][:-1])


@pytest.mark.parametrize(("seconds", "offset"), [(60, 1_000_000), (59, 0)])
async def test_a_date_binds_a_range_only_where_it_is_safe(
    seconds: float, offset: int, tmp_path: Path
) -> None:
    """A change that was over a minute before the answer cannot have been followed by another one unseen."""
    body, fields = raw(SIZE), dated(seconds)
    turns = behaviours.in_turn(
        behaviours.cut(body, 1_000_000, fields=fields),
        behaviours.serve(body, last_modified=OLD, fields=fields),
    )
    async with Origin({"/x": turns}) as origin, Running(tmp_path, origin) as service:
        ended = await service.run(url=origin.url("/x"))
        assert offsets(ended) == [0, offset]
        assert origin.requests[1].header("If-Range") == (OLD if offset else None)
        assert ended["digests"]["sha256"] == sha256(body)


def part(body: bytes, **fields: object) -> behaviours.Behaviour:
    """Answer a range with other fields than the honest ones; a request for the whole honestly."""

    async def behave(exchange: Exchange) -> None:
        asked = exchange.request.header("Range")
        if asked is None:
            await behaviours.serve(body, etag='"v2"')(exchange)
            return
        first = int(asked.removeprefix("bytes=").rstrip("-"))
        honest = {"Content-Range": f"bytes {first}-{SIZE - 1}/{SIZE}", "Content-Length": SIZE - first}
        await exchange.send_head("206 Partial Content", {**TAG, **honest, **fields})
        await exchange.send_body(body[first:])

    return behave


DOUBTFUL: dict[str, dict[str, object]] = {
    "another version": {"ETag": '"v2"'},
    "another place": {"Content-Range": f"bytes 999999-{SIZE - 1}/{SIZE}", "Content-Length": SIZE - 999_999},
    "another size": {"Content-Range": f"bytes 1000000-{SIZE - 1}/{SIZE + 1}"},
    "no size": {"Content-Range": f"bytes 1000000-{SIZE - 1}/*"},
    "no range": {"Content-Range": "bytes */4000000"},
}


@pytest.mark.parametrize("name", DOUBTFUL)
async def test_a_doubtful_range_is_no_range(name: str, tmp_path: Path) -> None:
    """What does not go on exactly where the bytes ended is asked for anew as a whole."""
    body = raw(SIZE)
    turns = behaviours.in_turn(behaviours.cut(body, 1_000_000, fields=TAG), part(body, **DOUBTFUL[name]))
    async with Origin({"/x": turns}) as origin, Running(tmp_path, origin) as service:
        ended = await service.run(url=origin.url("/x"))
        assert ended["digests"]["sha256"] == sha256(body)
        assert offsets(ended) == [0, 0]
        assert origin.requests[-1].header("Range") is None


async def test_a_promised_digest_lets_unnamed_bytes_go_on(tmp_path: Path) -> None:
    """Without any validator, the digest of the whole tells whether the parts fit; if not, once from zero."""
    body, other = raw(SIZE), raw(SIZE, seed=9)
    honest = behaviours.in_turn(behaviours.cut(body, 1_000_000), behaviours.serve(body))
    mixed = behaviours.in_turn(
        behaviours.cut(other, 1_000_000), behaviours.serve(body), behaviours.serve(body)
    )
    checksum = f"sha256:{sha256(body)}"
    async with Origin({"/a": honest, "/b": mixed}) as origin, Running(tmp_path, origin) as service:
        ended = await service.run(url=origin.url("/a"), checksum=checksum)
        assert (offsets(ended), codes(ended)) == ([0, 1_000_000], ["truncated", "ok"])
        ended = await service.run(url=origin.url("/b"), checksum=checksum)
        assert codes(ended) == ["truncated", "checksum-mismatch", "ok"]
        assert ended["verified_by"] == "submitter"


async def test_a_source_may_ask_for_time(tmp_path: Path) -> None:
    """Retry-After is honoured and shown; a refusal is never tried again."""
    turns = behaviours.in_turn(
        behaviours.status(503, {"Retry-After": "1"}), behaviours.serve(raw(1000)), behaviours.status(404)
    )
    async with Origin({"/x": turns}) as origin, Running(tmp_path, origin) as service:
        ended = await service.run(url=origin.url("/x"))
        assert codes(ended) == ["source-status", "ok"]
        assert ended["attempts"][0]["wait_seconds"] == 1.0
        assert codes(await service.run(url=origin.url("/x"))) == ["source-status"]


async def submit(service: Process, url: str, **fields: Any) -> str:
    body = {"url": url, "disk_format": "raw"} | fields
    status, document = await service.call("POST", "/imports", json=body)
    assert status == 202, document
    return str(document["id"])


async def until_row(data: Path, condition: str, value: float) -> None:
    """Wait until the index has a row of a pull that meets a condition."""
    async with asyncio.timeout(60):
        while True:
            with contextlib.closing(sqlite3.connect(data / "index.sqlite")) as db:
                if db.execute(f"SELECT 1 FROM pulls WHERE {condition}", [value]).fetchone():
                    return
            await asyncio.sleep(0.01)


async def until_kept(data: Path, size: int) -> None:
    """Wait until a checkpoint of so many bytes is in the index."""
    await until_row(data, "kept_bytes >= ?", size)


async def until_none_is_kept(data: Path) -> None:
    """Wait until a pull that is over has left nothing to go on from: that comes after the verdicts."""
    with contextlib.closing(sqlite3.connect(data / "index.sqlite")) as db:
        async with asyncio.timeout(60):
            while db.execute("SELECT count(*) FROM pulls").fetchone() != (0,):
                await asyncio.sleep(0.02)


async def test_kill_in_the_middle_and_only_the_rest_is_pulled(tmp_path: Path) -> None:
    """Staged bytes are read back, digested and judged again; the pull goes on after them with If-Range."""
    body = raw(SIZE)
    turns = stalled_once(body)
    async with Origin({"/x": turns}) as origin, Process(config(tmp_path, origin, **OFTEN)) as service:
        import_id = await submit(service, origin.url("/x"))
        await until_kept(tmp_path / "data", SIZE // 2 - 2 * STEP)
        await service.kill()
        await service.start()
        ended = await whole(service, import_id, body)
        assert codes(ended) == ["interrupted", "ok"]
        assert offsets(ended)[1] >= SIZE // 2 - 2 * STEP
        assert origin.requests[1].header("If-Range") == '"v1"'
        assert origin.sent_bytes <= SIZE + 2 * STEP
        await until_none_is_kept(tmp_path / "data")
        await service.kill()
        agree(tmp_path / "data")


SPOILED = {
    "torn": lambda data: data[:-1],
    "zeroed": lambda data: data[:100_000] + bytes(65_536) + data[165_536:],
    "gone": None,
}


@pytest.mark.parametrize("how", SPOILED)
async def test_spoiled_staged_bytes_are_found_out(how: str, tmp_path: Path) -> None:
    """What a power loss made of the file is never part of an image; the pull begins anew."""
    body, spoil = raw(SIZE), SPOILED[how]
    turns = stalled_once(body)
    async with Origin({"/x": turns}) as origin, Process(config(tmp_path, origin, **OFTEN)) as service:
        import_id = await submit(service, origin.url("/x"))
        await until_kept(tmp_path / "data", SIZE // 2 - 2 * STEP)
        await service.kill()
        [staged] = (tmp_path / "data" / "staging").iterdir()
        size = staged.stat().st_size
        kept = kept_bytes(tmp_path / "data")
        assert kept <= size
        if spoil is None:
            staged.unlink()
        else:
            staged.write_bytes(spoil(staged.read_bytes()[:kept]))
        await service.start()
        ended = await whole(service, import_id, body)
        assert offsets(ended) == [0, 0]
        await service.kill()
        agree(tmp_path / "data")


async def test_a_power_loss_costs_what_was_not_durable(tmp_path: Path) -> None:
    """Where the last bytes did not reach the disk, the last checkpoint still counts."""
    body = raw(SIZE)
    turns = stalled_once(body)
    rules = {"resume": {"checkpoint_bytes": 1_048_576, "mark_bytes": 65_536}} | {
        "store": {"write_bytes": 65_536}
    }
    async with Origin({"/x": turns}) as origin, Process(config(tmp_path, origin, **rules)) as service:
        import_id = await submit(service, origin.url("/x"))
        await until_kept(tmp_path / "data", 1_048_576)
        await service.kill()
        [staged] = (tmp_path / "data" / "staging").iterdir()
        kept = kept_bytes(tmp_path / "data")
        data = staged.read_bytes()
        staged.write_bytes(data[:kept] + bytes(len(data) - kept))
        assert os.getxattr(staged, "user.fetcher.mark")
        os.setxattr(staged, "user.fetcher.mark", f"{kept + 9} {'0' * 64}".encode())
        await service.start()
        ended = await whole(service, import_id, body)
        assert offsets(ended) == [0, kept]
        await service.kill()
        agree(tmp_path / "data")


async def test_a_terminated_service_loses_no_byte(tmp_path: Path) -> None:
    """SIGTERM parks what was handed over to be written; the next start goes on after it."""
    body = raw(SIZE)
    turns = stalled_once(body)
    small = {"store": {"write_bytes": 4096}}
    async with Origin({"/x": turns}) as origin, Process(config(tmp_path, origin, **small)) as service:
        import_id = await submit(service, origin.url("/x"))
        received = 0
        while received < SIZE // 2:
            progress = (await service.call("GET", f"/imports/{import_id}"))[1]["progress"]
            received = progress["received_bytes"]
            await asyncio.sleep(0.01)
        assert await service.kill(signal.SIGTERM) in {0, -signal.SIGTERM}
        await service.start()
        ended = await whole(service, import_id, body)
        assert codes(ended) == ["interrupted", "ok"]
        assert offsets(ended)[1] >= SIZE // 2 - 65_536  # Some may lie between the socket and the hand-over.
        await service.kill()
        agree(tmp_path / "data")


async def test_a_budget_survives_the_crash(tmp_path: Path) -> None:
    """Seconds of before count: an import that is killed again and again still ends."""
    body = raw(SIZE)
    stall = behaviours.stall(body, SIZE // 2, fields=TAG)
    pace = {
        "pace": {"total_seconds": 2.0},
        "resume": {"checkpoint_bytes": STEP, "mark_bytes": 65_536, "save_seconds": 0.05},
    }
    async with Origin({"/x": stall}) as origin, Process(config(tmp_path, origin, **pace)) as service:
        import_id = await submit(service, origin.url("/x"))
        for spent in (0.4, 0.8, 1.2):
            await until_row(tmp_path / "data", "spent_seconds >= ?", spent)
            await service.kill()
            await service.start()
        await service.until(import_id, "failed")
        document = (await service.call("GET", f"/imports/{import_id}"))[1]
        assert document["verdict"]["code"] == "deadline-passed"
        await service.kill()
        agree(tmp_path / "data")


async def test_todays_limits_judge_yesterdays_bytes(tmp_path: Path) -> None:
    """Guards see the staged bytes again: what is no longer accepted is refused at the start."""
    body = raw(SIZE)
    stall = behaviours.stall(body, SIZE // 2, fields=TAG)
    async with Origin({"/x": stall}) as origin, Process(config(tmp_path, origin, **OFTEN)) as service:
        import_id = await submit(service, origin.url("/x"))
        await until_kept(tmp_path / "data", SIZE // 2 - 2 * STEP)
        await service.kill()
        config(tmp_path, origin, **OFTEN, format={"disk_formats": ["qcow2"]})
        await service.start()
        ended = await service.until(import_id, "succeeded", "failed", "refused")
        assert ended["state"] == "refused"
        assert len(origin.requests) == 1
        await service.kill()
        agree(tmp_path / "data")
