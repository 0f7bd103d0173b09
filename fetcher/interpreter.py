"""The interpreter: its turns among threads, and the objects that its collector looks at."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# How long a thread that computes keeps the others waiting.
SHORT_SECONDS = 0.0005
USUAL_SECONDS = sys.getswitchinterval()  # 5 ms; shorter ones cost each small import a sixth more.
# Objects that are made before the youngest are looked at; 700 by default, which one page of a list exceeds.
YOUNG_OBJECTS = 2_000


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


def spare_what_stays() -> None:
    """Take all that there is now out of the collector's sight: modules, routes and settings stay.

    It would go through all of them again and again, a tenth of a second each time, with the loop held.
    """
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 10, 10)
