"""A cancellation that a library forgets counts all the same."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from fetcher.aio.cancelling import KeepCancellation


async def forgetful(*, fails: bool = False) -> None:
    """Do as `asyncio.wait_for` does when it has what it waits for in the same moment."""
    try:
        await asyncio.get_running_loop().create_future()
    except asyncio.CancelledError:
        if fails:
            raise ValueError("the connection is gone") from None


async def cancelled(work: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
    """Begin work in a task, and cancel it once it waits."""
    task = asyncio.ensure_future(work())
    assert isinstance(task, asyncio.Task)
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    return task


@pytest.mark.parametrize("fails", [False, True])
async def test_what_a_library_forgot_is_raised_at_its_end(*, fails: bool) -> None:
    """A lost cancellation counts whether the work then went well or not."""

    async def work() -> None:
        with KeepCancellation():
            await forgetful(fails=fails)

    assert (await cancelled(work)).cancelled()


async def test_who_tidies_up_after_a_cancellation_is_left_alone() -> None:
    """A cancellation asked for before is known already; nothing comes of work that nobody wants to stop."""
    tidied = []

    async def work() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            with KeepCancellation():
                await asyncio.sleep(0)
            tidied.append(True)

    assert (await cancelled(work)).cancelled()
    assert tidied == [True]
    with KeepCancellation():
        await asyncio.sleep(0)
    with pytest.raises(ValueError, match="own"), KeepCancellation():
        raise ValueError("own")


async def test_a_time_that_runs_out_stays_one() -> None:
    """Inside a time limit, what was forgotten is the limit's."""

    async def work() -> None:
        async with asyncio.timeout(0.01):
            with KeepCancellation():
                await forgetful()

    with pytest.raises(TimeoutError):
        await work()
