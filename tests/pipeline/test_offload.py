"""Work that is too long for the event loop: done in one other thread, in slices, in turns."""

import asyncio
import threading

import pytest

from fetcher.errors import Failure, TooManyBytes
from fetcher.pipeline import PeerClock, WorkerPool, pull
from fetcher.pipeline.offload import OffloadThread
from tests.guards.stream.formats.corpus import cut, new_guard
from tests.guards.stream.formats.dear import WORST


async def test_slices_are_done_in_turns() -> None:
    """Two who have much to do each get a slice at a time, in one thread that is not the loop's."""
    offload = OffloadThread()
    done: list[tuple[str, str]] = []
    both = threading.Barrier(2)

    def wait() -> bool:
        both.wait()
        return True

    def part(name: str, slices: int) -> bool:
        done.append((name, threading.current_thread().name))
        return sum(one == name for one, _ in done) == slices

    try:
        waiting = asyncio.ensure_future(offload.run(wait))
        jobs = [asyncio.ensure_future(offload.run(lambda name=name: part(name, 3))) for name in "ab"]
        await asyncio.sleep(0)
        both.wait()
        await asyncio.gather(waiting, *jobs)
    finally:
        offload.close()
    assert [name for name, _ in done] == ["a", "b"] * 3
    assert {thread for _, thread in done} == {"offload"}


async def test_what_a_slice_raises_comes_back() -> None:
    """A refusal that was found in the thread ends the import that it belongs to, and no other."""
    offload = OffloadThread()

    def refuse() -> bool:
        raise TooManyBytes(max_bytes=1)

    try:
        with pytest.raises(TooManyBytes):
            await offload.run(refuse)
        await offload.run(lambda: True)
    finally:
        offload.close()


async def test_a_cancelled_caller_is_given_no_further_slice() -> None:
    """Whoever left has no more work done for it than the slice that runs."""
    offload = OffloadThread()
    begun, go_on = threading.Event(), threading.Event()
    slices: list[int] = []

    def part() -> bool:
        slices.append(1)
        begun.set()
        go_on.wait()
        return False

    try:
        job = asyncio.ensure_future(offload.run(part))
        await asyncio.to_thread(begun.wait)
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await job
        go_on.set()
        await offload.run(lambda: True)
        await offload.run(lambda: True)
    finally:
        offload.close()
    assert slices == [1]


class Chunks:
    """A peer that hands out chunks."""

    def __init__(self, chunks: list[bytes]) -> None:
        self._chunks = chunks

    async def read(self) -> bytes:
        return self._chunks.pop(0) if self._chunks else b""


@pytest.mark.parametrize("name", ["qcow2, full tables", "zstd, blocks of 61 bytes", "raw, end records"])
async def test_dear_work_of_a_guard_is_done_off_the_loop(name: str) -> None:
    """While a stream is judged, the loop's thread looks only at what is quick; the rest is another's."""
    guard = new_guard("raw/compressed" if name.startswith("zstd") else "-")
    threads: dict[str, set[str]] = {"skim": set(), "go_on": set(), "finish": set()}

    class Watched:
        """The guard, with a note of who calls what."""

        def feed(self, chunk: bytes) -> None:
            raise AssertionError("all at once")

        def skim(self, chunk: bytes) -> bool:
            threads["skim"].add(threading.current_thread().name)
            return guard.skim(chunk)

        def go_on(self) -> bool:
            threads["go_on"].add(threading.current_thread().name)
            return guard.go_on()

        def finish(self) -> None:
            threads["finish"].add(threading.current_thread().name)
            guard.finish()

    worker_pool = WorkerPool(threads=1, buffer_bytes=1 << 20, piece_bytes=1 << 16)
    lanes = worker_pool.lanes([lambda _: None])
    try:
        peer = Chunks(list(cut(WORST[name](), 262_144)))
        with pytest.raises(Failure):
            await pull(peer, [Watched()], lanes, PeerClock(lambda: 0.0), piece_bytes=lambda: 1 << 16)
    finally:
        await lanes.close()
        worker_pool.close()
    assert threads["skim"] == {threading.main_thread().name}
    assert threads["go_on"] == {"offload"}
    assert threads["finish"] <= {"offload"}
