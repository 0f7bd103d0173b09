"""The interpreter: its turns among threads, the objects that its collector looks at, what a start imports."""

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# How long a thread that computes keeps the others waiting.
SHORT_SECONDS = 0.0005
USUAL_SECONDS = sys.getswitchinterval()  # 5 ms; shorter ones cost each small import a sixth more.
# Objects that are made before the youngest are looked at; 700 by default, which one page of a list exceeds.
YOUNG_OBJECTS = 2_000
# structlog would import them for colourful traces, which a service does not write: a tenth of all imports.
UNUSED = ("rich", "colorama")
# aiohttp reads the authorities of the machine twice when it is imported; `transport` makes our own.
NO_AUTHORITIES = {"SSL_CERT_FILE": os.devnull, "SSL_CERT_DIR": os.devnull}


@contextmanager
def short_turns() -> Iterator[None]:
    """Have a thread that computes let others in sooner.

    The loop gives the interpreter away with each system call, and gets it back
    when whoever took it has had its turn: recognisers of hostile bytes made
    each client wait that often.
    """
    sys.setswitchinterval(SHORT_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(USUAL_SECONDS)


@contextmanager
def fast_imports() -> Iterator[None]:
    """Have what a service imports at its start take no longer than it must.

    The collector finds next to nothing among modules, classes and what a start
    takes up, and stays off until `resume_collection`: looking at each of them again
    and again takes an eighth of that time.
    """
    gc.disable()
    unused = [name for name in UNUSED if name not in sys.modules]
    before = {name: os.environ.get(name) for name in NO_AUTHORITIES}
    sys.modules.update(dict.fromkeys(unused))  # type: ignore[arg-type] # None is "not to be found" (import, 5.3.1)
    os.environ.update(NO_AUTHORITIES)
    try:
        yield
    finally:
        for name in unused:
            del sys.modules[name]
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def exclude_from_collection() -> None:
    """Take all that there is now out of the collector's sight: modules, routes and settings stay.

    It would go through all of them again and again, a tenth of a second each time, with the loop held.
    """
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 10, 10)


def resume_collection() -> None:
    """Have the collector do its work, which `fast_imports` kept it from."""
    gc.enable()
