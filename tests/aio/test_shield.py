"""Work that a cancelled task still carries to its end."""

import asyncio

import pytest

from fetcher.aio.shield import opened, shielded


async def test_the_result_comes_back() -> None:
    """Undisturbed, it is the work itself."""

    async def work() -> int:
        return 7

    assert await shielded(work()) == 7


@pytest.mark.parametrize("fails", [False, True])
async def test_a_cancelled_caller_waits_for_the_work(fails: bool) -> None:
    """However often it is cancelled, it leaves only when the work is done, and then as cancelled."""
    go_on, done = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        await go_on.wait()
        done.set()
        if fails:
            raise ValueError

    task = asyncio.create_task(shielded(work()))
    for _ in range(3):
        await asyncio.sleep(0)
        task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done.is_set()


async def test_what_a_thread_opened_for_a_cancelled_task_is_undone() -> None:
    """Nobody else knows of it: whoever is cancelled waits for it, undoes it, and only then leaves."""
    go_on, undone = asyncio.Event(), []

    async def open_it() -> int:
        await go_on.wait()
        return 7

    task = asyncio.create_task(opened(open_it(), undone.append))
    for _ in range(3):
        await asyncio.sleep(0)
        task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert undone == [7]


async def test_what_is_opened_in_peace_is_given_out() -> None:
    """Undisturbed, nothing is undone."""
    undone: list[int] = []

    async def open_it() -> int:
        return 7

    assert await opened(open_it(), undone.append) == 7
    assert undone == []
