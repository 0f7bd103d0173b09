"""Killed at every named step and at random moments: nothing lost, nothing twice, nothing left over."""

from pathlib import Path

import pytest

from fetcher.crash import STEPS
from tests.torture import Torture


@pytest.mark.slow
@pytest.mark.timeout(900)  # Seventeen starts and as many lives: minutes where others have the machine too.
async def test_a_dozen_kills_violate_nothing(tmp_path: Path) -> None:
    """One kill at each named step, in turn, on one store; `make torture` does it hundreds of times."""
    torture = await Torture(tmp_path, seed=7).run(len(STEPS) + 1, rest_every=6)
    assert torture.violations == []
    assert sum(torture.hit.values()) >= len(STEPS) // 2, torture.hit
