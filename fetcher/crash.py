"""Named steps at which a test may have this process killed; inert unless the environment names one.

`FETCHER_CRASH_AT=store.renamed:2` sends SIGKILL to the process itself at the
second time it comes by that step: as if the power went at this very line.
`STEPS` are those of a service; a migration of records has `migrate.filled` besides.
"""

import os
import signal
from collections.abc import Callable
from itertools import count

VARIABLE = "FETCHER_CRASH_AT"
STEPS = (
    "index.begun",
    "index.worked",
    "index.committed",
    "store.staged",
    "store.written",
    "store.synced",
    "store.renamed",
    "store.settled",
    "store.adopted",
    "store.discarded",
    "store.removing",
    "store.removed",
    "importer.kept",
    "importer.announced",
)

# Come by a step. Nothing of ours runs where none is armed: every import comes by fifteen times.
reach: Callable[[str], object] = bool


def arm(named: str) -> None:
    """Have the process end at a step, as the variable names it; empty disarms."""
    global reach  # noqa: PLW0603 - callers look it up in this module each time
    step, _, turn = named.partition(":")
    turns = count(1)

    def end_at(reached: str) -> None:
        if reached == step and next(turns) == int(turn or "1"):
            os.kill(os.getpid(), signal.SIGKILL)

    reach = end_at if step else bool


arm(os.environ.get(VARIABLE, ""))
