"""The room that pulls take over all hosts: who has it while a host is not heard of, and who hears of it."""

import asyncio

from fetcher.engine.postgres import PostgresEngine
from fetcher.engine.values import Caps, Elsewhere, Place, Progress, Signal
from tests.contract.test_engine import MANY, expire, place, two  # noqa: F401 - fixtures among them


async def test_a_host_that_is_heard_of_again_has_its_pulls(
    two: tuple[PostgresEngine, PostgresEngine],  # noqa: F811 - pytest's way to a fixture
) -> None:
    """A place that nobody took meanwhile counts again, and keeps others from pulling the same."""
    first, second = two
    for name in ("1", "2"):
        assert await first.enter(Place(id=name, project_id="p", origin="o", request=name), MANY)
    await expire(first, "hosts", "a")
    assert await second.elsewhere() == Elsewhere()
    assert await second.enter(
        Place(id="3", project_id="p", origin="o", request="1"), Caps(project=1, origin=1)
    )
    assert await first.beat(0)
    assert (await second.elsewhere()).requests == {"2"}
    assert not await second.enter(Place(id="4", project_id="p", origin="o", request="2"), MANY)


async def test_a_refusal_wakes_nobody(
    two: tuple[PostgresEngine, PostgresEngine],  # noqa: F811 - pytest's way to a fixture
) -> None:
    """Whoever waits for room is woken when something has changed, not by its own asking."""
    first, second = two
    caps = Caps(project=9, origin=1)
    assert await first.enter(Place(id="1", project_id="p", origin="o", request="r"), caps)
    assert await second.enter(Place(id="2", project_id="p", origin="q"), caps)
    assert not await second.move("2", "o", 1)
    heard: list[Signal] = []
    told = asyncio.Event()

    def on_signal(signal: Signal) -> None:
        heard.append(signal)
        told.set()

    second.watch(on_signal)
    listening = asyncio.create_task(second.listen())
    await asyncio.wait_for(told.wait(), 60)
    told.clear()
    assert not await second.move("2", "o", 1)
    assert not await second.enter(Place(id="3", project_id="p", origin="o", request="r"), MANY)
    await second.report_progress([Progress("after", 1, 1)])
    await asyncio.wait_for(told.wait(), 60)
    assert [signal.what for signal in heard] == ["missed", "progress"]
    listening.cancel()
    await asyncio.wait({listening})
