"""The imports that share a pull."""

import time
from pathlib import Path

from fetcher.importer.records.running_import import RunningImport
from fetcher.importer.records.subscribers import Subscribers
from fetcher.index import Index
from tests.index.conftest import make

MANY = 4000


async def test_whoever_joins_many_costs_no_more(tmp_path: Path) -> None:
    """One more follower of a pull that thousands follow takes as long as one of a pull that few follow."""
    subscribers = Subscribers(Index(tmp_path / "index.sqlite"), lambda _import_id: None)
    spent = []
    for number in range(MANY):
        running = RunningImport(make(number=number).record, time.monotonic)
        began = time.thread_time()
        subscribers.add(running)
        spent.append(time.thread_time() - began)
    first, last = sorted(spent[:500]), sorted(spent[-500:])
    assert last[250] < 4 * first[250]
    assert len(subscribers) == MANY
