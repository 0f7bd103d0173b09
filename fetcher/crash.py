"""Named steps at which a test may have this process killed; inert unless the environment names one.

`FETCHER_CRASH_AT=store.renamed:2` sends SIGKILL to the process itself at the
second time it comes by that step: as if the power went at this very line.
`STEPS` are those of a service; a migration of records has `migrate.filled` besides.
"""

import os
import signal
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

_step, _, _turn = os.environ.get(VARIABLE, "").partition(":")
_turns = count(1)


def reach(step: str) -> None:
    """Come by a step; the process ends here when the environment says so."""
    if step == _step and next(_turns) == int(_turn or "1"):
        os.kill(os.getpid(), signal.SIGKILL)
