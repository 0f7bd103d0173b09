"""Tests of what counts as a shortage of the machine."""

import errno
import os
import resource
import subprocess
import sys

import pytest

from fetcher.shortage import is_shortage


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.ENOBUFS])
def test_the_errors_of_a_machine_without_room_are_shortages(number: int) -> None:
    """Descriptors, memory and threads that are missing now may be there soon."""
    assert is_shortage(OSError(number, os.strerror(number)))


@pytest.mark.parametrize(
    "number", [errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.ENOENT, errno.EACCES]
)
def test_what_waiting_does_not_mend_is_no_shortage(number: int) -> None:
    """Damage, a full disk and missing rights are told as what they are."""
    assert not is_shortage(OSError(number, os.strerror(number)))


def test_memory_and_threads_have_no_error_number() -> None:
    """Python tells both by classes of its own."""
    assert is_shortage(MemoryError())
    assert is_shortage(RuntimeError("can't start new thread"))
    assert not is_shortage(RuntimeError("another"))
    assert not is_shortage(OSError("without a number"))


def test_a_real_process_without_descriptors_says_so() -> None:
    """What open() raises at the limit is recognised."""
    code = (
        "import resource; from fetcher.shortage import is_shortage\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (3, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))\n"
        "try: open('/dev/null')\n"
        "except OSError as error: print(is_shortage(error))\n"
    )
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 3
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
