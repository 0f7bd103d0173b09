"""`fetcher push` and `fetcher exports`, as somebody at a terminal runs them."""

import asyncio
import sys
from pathlib import Path

from tests.exporter.receiver import Receiver
from tests.exporter.test_put import IMAGE, sending


async def fetcher(*words: str) -> tuple[int | None, str]:
    """Run a command; its exit code and all that it says."""
    process = await asyncio.create_subprocess_exec(
        *(f"{sys.prefix}/bin/fetcher", *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode, said.decode()


async def test_an_image_is_pushed_and_waited_for(tmp_path: Path) -> None:
    """The exit code tells how it ended; the list shows it; a refusal is told with its advice."""
    async with Receiver() as receiver, sending(tmp_path, receiver) as (service, image_id):
        there = ("--server", service.base)
        code, said = await fetcher("push", image_id[:8], receiver.url("/d"), "--wait", *there)
        assert (code, receiver.taken) == (0, {"/d": IMAGE}), said
        assert 'ETag "abc"' in said
        code, said = await fetcher("exports", "--state", "succeeded", *there)
        assert code == 0
        assert receiver.url("/d") in said
        code, said = await fetcher("push", image_id, "https://evil.example.org/d", *there)
        assert code == 8
        assert "images may not be sent to evil.example.org" in said
        assert "Traceback" not in said


async def test_a_refusing_receiver_is_a_failure_for_scripts(tmp_path: Path) -> None:
    """A 403 of the receiver is exit code 4, and says what to look at."""
    async with Receiver("refuse early") as receiver, sending(tmp_path, receiver) as (service, image_id):
        code, said = await fetcher("push", image_id, receiver.url("/d"), "--wait", "--server", service.base)
        assert code == 4
        assert "The receiver answered with status 403." in said
        assert "PUT" in said
