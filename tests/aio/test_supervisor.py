"""Background work has an owner: what dies is logged, counted, told and started again."""

import asyncio

import pytest
from structlog.testing import capture_logs

from fetcher.aio.supervisor import MAX_WAIT_SECONDS, Supervisor, start_logged
from fetcher.errors import Failure, Shortage, StoreFull


async def test_what_dies_is_logged_counted_told_and_started_again() -> None:
    """One ValueError is a line with its trace, a count and a trouble; then the work goes on."""
    runs, resting, go_on, runs_again = 0, asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def work() -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            raise ValueError("broken row")
        runs_again.set()
        await asyncio.Event().wait()

    async def sleep(_seconds: float) -> None:
        resting.set()
        await go_on.wait()

    supervisor = Supervisor(sleep=sleep)
    with capture_logs() as logs:
        supervisor.start("webhooks", work)
        assert supervisor.restarts == {"webhooks": 0}
        await resting.wait()
        assert supervisor.troubles() == ["the background task webhooks failed and will be restarted"]
        go_on.set()
        await runs_again.wait()
    assert supervisor.troubles() == []
    assert supervisor.restarts == {"webhooks": 1}
    [line] = [line for line in logs if line["event"] == "task.died"]
    assert isinstance(line["exc_info"], ValueError)
    assert line["task"] == "webhooks"
    await supervisor.close()
    assert supervisor.troubles() == ["the background task webhooks has ended"]


@pytest.mark.parametrize("short", [Shortage(reason="no descriptors"), StoreFull()], ids=repr)
async def test_what_the_machine_is_short_of_is_a_line_without_a_trace(short: Failure) -> None:
    """It passes by itself or by the operator: its words say all."""
    resting = asyncio.Event()

    async def work() -> None:
        raise short

    async def sleep(_seconds: float) -> None:
        resting.set()
        await asyncio.Event().wait()

    supervisor = Supervisor(sleep=sleep)
    with capture_logs() as logs:
        supervisor.start("digests", work)
        await resting.wait()
    assert supervisor.restarts == {"digests": 1}
    [line] = logs
    assert (line["event"], line["detail"]) == ("task.short", str(short))
    assert "exc_info" not in line
    await supervisor.close()


async def test_waits_grow_up_to_a_bound() -> None:
    """Work that dies at once is not a busy loop, and is never given up."""
    waits: list[float] = []
    enough = asyncio.Event()

    async def work() -> None:
        raise ValueError

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 9:
            enough.set()
            await asyncio.Event().wait()

    supervisor = Supervisor(sleep=sleep)
    supervisor.start("throughput", work)
    await enough.wait()
    await supervisor.close()
    assert waits == [1, 2, 4, 8, 16, 32, *[MAX_WAIT_SECONDS] * 3]


async def test_work_that_merely_returns_is_started_again() -> None:
    """Work that should never end has ended all the same: that is no success."""
    again, runs = asyncio.Event(), 0

    async def work() -> None:
        nonlocal runs
        runs += 1
        if runs == 2:
            again.set()
            await asyncio.Event().wait()

    supervisor = Supervisor(first_wait_seconds=0)
    supervisor.start("limits", work)
    await again.wait()
    await supervisor.close()
    assert supervisor.restarts["limits"] == 1


async def test_closing_ends_all_work_and_waits_for_it() -> None:
    """What the work had open is closed when `close` returns."""
    begun, closed = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            closed.set()

    supervisor = Supervisor()
    supervisor.start("maintenance", work)
    await begun.wait()
    await supervisor.close()
    assert closed.is_set()


async def test_a_task_that_ends_badly_is_logged_at_once() -> None:
    """No failure waits for the garbage collector to be told."""

    async def work() -> None:
        raise ValueError

    with capture_logs() as logs:
        task = start_logged(work(), "join 1")
        with pytest.raises(ValueError, match=r"^$"):
            await task
        await asyncio.sleep(0)
    assert [line["task"] for line in logs if line["event"] == "task.failed"] == ["join 1"]
