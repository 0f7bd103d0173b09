"""Tests of the process's descriptors and of the loop's table of them."""

import resource
import subprocess
import sys

import pytest

# A process that takes all memory it may have, and then watches thousands of descriptors.
WITHOUT_MEMORY = """
import asyncio, os, resource
import uvloop
from fetcher.descriptors import raise_limit, grow_descriptor_table

async def main():
    raise_limit(20_000)
    pipes = [os.pipe() for _ in range(9_800)]
    assert grow_descriptor_table(20_000)
    loop, taken = asyncio.get_running_loop(), []
    pages = int(open("/proc/self/statm").read().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 4_000_000,) * 2)
    try:
        while True:
            taken.append(bytearray(10_000))
    except MemoryError:
        del taken[::2]  # What is left is in small pieces.
    for reading, _writing in pipes[::50]:
        loop.add_reader(reading, print)
    taken.clear()
    print("it goes on", flush=True)
    os._exit(0)

uvloop.run(main())
"""


# One that has no memory when its table is made, and some later.
LATER = """
import asyncio, os, resource
import uvloop
from fetcher.descriptors import raise_limit, grow_descriptor_table

async def main():
    raise_limit(20_000)
    pipes, taken, loop = [os.pipe() for _ in range(1_000)], [], asyncio.get_running_loop()
    unlimited = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(open("/proc/self/statm").read().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 4_000_000, unlimited[1]))
    try:
        while True:
            taken.append(bytearray(10_000))
    except MemoryError:
        del taken[::2]  # What is left is in small pieces.
    try:
        grow_descriptor_table(20_000)
    except MemoryError:
        print("later", flush=True)
    resource.setrlimit(resource.RLIMIT_AS, unlimited)
    taken.clear()
    assert grow_descriptor_table(20_000)
    for reading, _writing in pipes:
        loop.add_reader(reading, print)
    print("it goes on", flush=True)
    os._exit(0)

uvloop.run(main())
"""


@pytest.mark.skipif(
    resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 20_000, reason="ulimit -Hn is below 20000"
)
@pytest.mark.parametrize(
    ("code", "says"),
    [(WITHOUT_MEMORY, "it goes on\n"), (LATER, "later\nit goes on\n")],
    ids=["made before", "made after"],
)
def test_a_loop_with_its_table_outlasts_a_shortage_of_memory(code: str, says: str) -> None:
    """A table that finds no memory ends the process (libuv): it is made while there is some."""
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == says, (done.returncode, done.stderr)


def test_a_loop_is_widened_within_what_the_process_may_open() -> None:
    """With few descriptors, or the last of them taken, there is no error, and nothing stays open."""
    code = (
        "import asyncio, fcntl, os, resource, uvloop\n"
        "from fetcher.descriptors import grow_descriptor_table\n"
        "async def main():\n"
        "    before = len(os.listdir('/proc/self/fd'))\n"
        "    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))\n"
        "    grow_descriptor_table(64)\n"
        "    assert len(os.listdir('/proc/self/fd')) == before\n"
        "    taken = fcntl.fcntl(1, fcntl.F_DUPFD, 63)\n"
        "    grow_descriptor_table(64)\n"
        "    os.close(taken)\n"
        "    assert len(os.listdir('/proc/self/fd')) == before\n"
        "uvloop.run(main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
