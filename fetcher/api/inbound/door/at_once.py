"""Work without a task: a coroutine that waits for nothing is done by the time its task would begin."""

import asyncio
import types
from collections.abc import Coroutine, Generator
from contextvars import copy_context
from typing import Any


def run_at_once(work: Coroutine[Any, Any, None]) -> asyncio.Task[None] | None:
    """Run a coroutine now, in a context of its own, as far as it goes without waiting.

    Until it waits there is no current task: `asyncio.timeout` is not for it.

    Returns:
        What does the rest; None where it is done.

    Source: `eager_start` of `asyncio.Task` does this from Python 3.12 on.
    """
    context = copy_context()
    try:
        awaited = context.run(work.send, None)
    except StopIteration:
        return None
    return asyncio.get_running_loop().create_task(_rest(work, awaited), context=context)


async def _rest(work: Coroutine[Any, Any, None], awaited: Any) -> None:
    await _resumed(work, awaited)


@types.coroutine
def _resumed(work: Coroutine[Any, Any, None], awaited: Any) -> Generator[Any, Any, None]:
    """Wait for what it waits for, and go on with it."""
    try:
        while True:
            try:
                sent = yield awaited
            except BaseException as error:  # noqa: BLE001 - it is the coroutine's own, as in its task
                awaited = work.throw(error)
            else:
                awaited = work.send(sent)
    except StopIteration:
        return
