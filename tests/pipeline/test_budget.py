"""The byte budget: nobody is forgotten in its line, nothing is counted twice."""

import asyncio

from fetcher.pipeline.budget import Budget


async def test_budget_survives_cancelled_waiters() -> None:
    """A cancelled import neither keeps bytes nor blocks the line."""
    budget = Budget(10)
    await budget.take(10)
    first, second = asyncio.create_task(budget.take(5)), asyncio.create_task(budget.take(5))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait({first})
    budget.give_back(10)
    await second
    assert budget.taken_bytes == 5
    third = asyncio.create_task(budget.take(10))
    await asyncio.sleep(0)
    budget.give_back(5)
    third.cancel()  # Its turn has come, but it has not yet noticed.
    await asyncio.wait({third})
    assert budget.taken_bytes == 0


async def test_one_piece_larger_than_the_budget_still_passes() -> None:
    """A small budget slows down; it never stops."""
    budget = Budget(10)
    await budget.take(100)
    budget.give_back(100)
    assert budget.taken_bytes == 0
