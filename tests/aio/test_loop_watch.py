"""The watch on the event loop: what holds it is seen, what waits is not."""

import asyncio
import subprocess
import sys
import threading

from fetcher.aio.loop_watch import LoopWatch

LIMIT_SECONDS = 0.05
PATIENT_SECONDS = 30


class Heard:
    """What the watch told, and when it did."""

    def __init__(self) -> None:
        self.holds: list[tuple[float, list[str]]] = []
        self.told = threading.Event()

    def __call__(self, seconds: float, stack: list[str]) -> None:
        self.holds.append((seconds, stack))
        self.told.set()


def hold_on(until: threading.Event) -> None:
    """Hold the loop's thread for longer than the limit, until a hold is over."""
    assert not until.wait(4 * LIMIT_SECONDS)


async def test_a_callback_that_holds_the_loop_is_told_with_its_stack() -> None:
    """The innermost frames name the function at fault, and the time is that of the hold."""
    heard = Heard()
    watch = LoopWatch(LIMIT_SECONDS, heard)
    hold_on(heard.told)
    assert await asyncio.to_thread(heard.told.wait, PATIENT_SECONDS)
    watch.close()
    seconds, stack = heard.holds[0]
    assert seconds >= LIMIT_SECONDS
    assert any(
        line.startswith("tests/aio/test_loop_watch.py:") and line.endswith("hold_on") for line in stack
    )
    assert watch.holds == len(heard.holds)
    assert watch.held_seconds >= seconds


async def test_a_loop_that_waits_is_not_held() -> None:
    """Ten times the limit in an idle loop is no hold: it answers each time it is asked."""
    heard = Heard()
    watch = LoopWatch(LIMIT_SECONDS, heard)
    assert not await asyncio.to_thread(heard.told.wait, 10 * LIMIT_SECONDS)
    watch.close()
    assert heard.holds == []


async def test_a_closed_watch_ends_its_thread() -> None:
    """Whoever closes it leaves no thread behind."""
    watch = LoopWatch(LIMIT_SECONDS, Heard())
    watch.close()
    await asyncio.to_thread(watch._thread.join, PATIENT_SECONDS)
    assert not watch._thread.is_alive()


# A collection is due at the next object that is made, and lets go of what only the interpreter's lock frees.
COLLECTED_MEANWHILE = """
import gc, threading
from fetcher.aio.loop_watch import frame_of

class Garbage:
    pass

for _ in range(300):
    gc.disable()
    garbage = Garbage()
    garbage.itself, garbage.local = garbage, threading.local()
    garbage.local.value = 1
    del garbage
    gc.set_threshold(1)
    gc.enable()
    assert frame_of(threading.get_ident()) is not None
    assert gc.isenabled()
"""


def test_a_look_at_the_loop_never_stops_the_interpreter() -> None:
    """Python's own way to see a thread stands still for ever when garbage is collected in its midst."""
    done = subprocess.run([sys.executable, "-c", COLLECTED_MEANWHILE], timeout=60, check=False)
    assert done.returncode == 0
