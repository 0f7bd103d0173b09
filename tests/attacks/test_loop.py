"""Row I23: bytes that are dear to read, end to end: no callback of the loop, no slice beside it is long."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import pytest_asyncio

from fetcher.pipeline.offload import _Job
from tests.attacks.hostile_bodies import BODIES, KEPT, source
from tests.lab.loop_watch import LoopWatch
from tests.service import Running

MAX_SECONDS = 0.010
# Python lets the loop run within it; it is the other imports' turn that it puts off.
MAX_SLICE_SECONDS = 0.050
MAX_BYTES = 200_000_000  # What some unpack to has no end.
PACKED = ("zstd", "lz4", "xz", "bzip2", "gzip", "zip")
CASES = [(name, "bare") for name in BODIES if name not in KEPT]
CASES += [(name, "compressed") for name in BODIES if name.startswith(PACKED)]
TRIES = 4  # A neighbour on the same core makes everything slower, now and then.


@contextmanager
def slices() -> Iterator[list[float]]:
    """What each slice of dear work costs beside the loop."""
    spent: list[float] = []
    run = _Job.is_over_after_a_slice

    def measured(job: _Job) -> bool:
        tracer = sys.gettrace()
        sys.settrace(None)  # One that measures coverage would make each line several times as dear.
        began = time.thread_time()
        try:
            return run(job)
        finally:
            spent.append(time.thread_time() - began)
            sys.settrace(tracer)

    _Job.is_over_after_a_slice = measured  # type: ignore[method-assign] # put back below
    try:
        yield spent
    finally:
        _Job.is_over_after_a_slice = run  # type: ignore[method-assign] # as it was


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def ground(tmp_path_factory: pytest.TempPathFactory):
    with source() as (port, bodies):
        rules: dict[str, Any] = {
            "address": {"allow": [{"cidr": "127.0.0.1/32", "ports": [port]}]},
            "url": {"allow_literals": True},
            "retry": {"attempts": 1},
        }
        async with Running(tmp_path_factory.mktemp("service"), **rules) as service:
            yield service, f"http://127.0.0.1:{port}", bodies


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("name", "form"), CASES)
async def test_i23_no_bytes_hold_the_loop(
    ground: tuple[Running, str, dict[str, bytes]], name: str, form: str
) -> None:
    """As an image, unpacked or kept, the worst known bytes hold the loop for less than 10 ms at a time."""
    service, base, bodies = ground
    bodies["/x"] = BODIES[name]()
    held = ""
    for _ in range(TRIES):
        with LoopWatch() as watch, slices() as spent:
            await service.run(url=f"{base}/x", disk_format="raw", container_format=form, max_bytes=MAX_BYTES)
        longest = max(spent, default=0.0)
        held = f"loop {1000 * watch.longest_seconds:.1f} ms by {watch.longest}, slice {1000 * longest:.1f} ms"
        if watch.longest_seconds < MAX_SECONDS and longest < MAX_SLICE_SECONDS:
            return
    pytest.fail(held)
