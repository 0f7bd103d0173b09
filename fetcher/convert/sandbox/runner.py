"""Runs one program behind walls, without holding up the event loop."""

import asyncio
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from fetcher.convert.sandbox.command import ENVIRONMENT, confined
from fetcher.convert.sandbox.confine import NOT_CONFINED
from fetcher.convert.sandbox.rules import Rules, Walls
from fetcher.errors import ConversionUnavailable

READ_BYTES = 65_536
MAX_ERROR_BYTES = 4_096
PIPE_SECONDS = 10.0
SIGNALLED = 128  # bubblewrap reports a signal as an exit code above this.

Listen = Callable[[bytes], None]


@dataclass(frozen=True, kw_only=True)
class Ended:
    """The end of a run.

    Args:
        code: Its exit code, or minus the signal that ended it.
        errors: The end of what it wrote as errors; it may name our paths, so it is for the log.
    """

    code: int
    errors: str = ""

    @property
    def has_crashed(self) -> bool:
        """Return whether a signal ended it."""
        return self.code < 0


async def run(
    command: Sequence[str],
    rules: Rules,
    walls: Walls,
    *,
    listen: Listen | None = None,
    is_wanted: Callable[[], bool] = lambda: True,
) -> Ended:
    """Run a program behind all walls that stand; when this call is cancelled, the program ends.

    Args:
        command: The program as an absolute path, and its arguments.
        listen: Is called with what the program prints, as it comes.
        is_wanted: Whether it should go on; asked after each output.

    Raises:
        ConversionUnavailable: No wall stands, or one did not come up.
    """
    walls.check()
    return await start(confined(command, rules, walls), listen or (lambda _output: None), is_wanted)


async def start(line: Sequence[str], listen: Listen, is_wanted: Callable[[], bool]) -> Ended:
    """Run a command line as it is, in a session of its own."""
    process = await asyncio.create_subprocess_exec(
        *line,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=ENVIRONMENT,
        cwd="/",
        start_new_session=True,
    )
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_listen(process, listen, is_wanted))
            errors = group.create_task(_errors(process))
        code = await process.wait()
    finally:
        await asyncio.shield(_end(process))
    return _ended(code, errors.result())


def _ended(code: int, errors: str) -> Ended:
    if code == NOT_CONFINED and errors.startswith("not confined"):
        raise ConversionUnavailable(reason="the sandbox did not come up")
    return Ended(code=SIGNALLED - code if code > SIGNALLED else code, errors=errors)


async def _listen(process: asyncio.subprocess.Process, listen: Listen, is_wanted: Callable[[], bool]) -> None:
    assert process.stdout is not None
    while output := await process.stdout.read(READ_BYTES):
        if is_wanted():
            listen(output)
        if not is_wanted():
            _kill(process)  # Then its output is read to the end, which closes the pipe.


async def _errors(process: asyncio.subprocess.Process) -> str:
    """Read errors to their end, so that the program never waits; the last of them are kept."""
    assert process.stderr is not None
    kept = b""
    while output := await process.stderr.read(READ_BYTES):
        kept = (kept + output)[-MAX_ERROR_BYTES:]
    return kept.decode("utf-8", "replace").strip()


async def _end(process: asyncio.subprocess.Process) -> None:
    """Leave nothing behind: end the whole session, wait for it, and read its pipes to their ends."""
    _kill(process)
    with suppress(ProcessLookupError, TimeoutError):
        async with asyncio.timeout(PIPE_SECONDS):
            await process.communicate()


def _kill(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
