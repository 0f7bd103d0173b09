"""Memory of pieces stays with the service between them."""

import platform
import resource
import subprocess
import sys

import pytest

PROBE = """
import resource, sys
from fetcher.memory import keep_freed_memory
if "keep" in sys.argv:
    assert keep_freed_memory()
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(50):
        pieces = [bytes(1_048_576) for _ in range(4)]
        del pieces
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
print(faults())
"""


def faults(*arguments: str) -> int:
    """How many pages a process of its own had to be given while it made and freed pieces."""
    run = subprocess.run(
        [sys.executable, "-c", PROBE, *arguments], capture_output=True, check=True, text=True
    )
    return int(run.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a switch of the GNU C library")
def test_freed_pieces_are_used_again() -> None:
    """Once set, making and freeing pieces takes no further pages, where it took thousands."""
    page = resource.getpagesize()
    assert faults("keep") < 4 * 1_048_576 // page
    assert faults() > 10 * faults("keep")


THREADS = """
import threading
from fetcher.memory import keep_freed_memory
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1])
assert keep_freed_memory()
before, end = resident(), threading.Event()
def work(done):
    pieces = [b"x" * 1_048_576 for _ in range(8)]
    del pieces
    done.set()
    end.wait(10)
threads = []
for _ in range(8):
    done = threading.Event()
    threads.append(threading.Thread(target=work, args=(done,)))
    threads[-1].start()
    assert done.wait(10)
print(resident() - before)
end.set()
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a switch of the GNU C library")
def test_pieces_that_a_thread_freed_are_for_others() -> None:
    """Eight threads, of which each makes eight pieces in its turn, do not keep eight times as much."""
    run = subprocess.run([sys.executable, "-c", THREADS], capture_output=True, check=True, text=True)
    assert int(run.stdout) * resource.getpagesize() < 32 * 1_048_576
