"""All pulls of this process: who waits for a slot, who joins a pull that is going on, who leaves."""

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import structlog

from fetcher.errors import Failure
from fetcher.importer.connections import Connections
from fetcher.importer.live import Live
from fetcher.importer.parts import Hooks, Parts
from fetcher.importer.patience import written
from fetcher.importer.pull import Pull
from fetcher.importer.queue import FairQueue, Slot, Ticket
from fetcher.importer.tracing import span
from fetcher.index import Kept
from fetcher.model import Import

log = structlog.get_logger()


class Pulls:
    """Starts pulls as slots become free, and lets equal requests share one.

    Attributes:
        queue: Who waits.
        lives: Imports that run now, those whose bytes are being sent to us too.
        sent: The tasks of the latter.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.queue = FairQueue()
        self.lives: dict[str, Live] = {}
        self.sent: dict[str, asyncio.Task[None]] = {}
        self._connections = Connections(
            self.queue,
            lambda: parts.settings().imports,
            parts.settings().ranges.buffer_bytes,
            self._dispatch,
        )
        self._pulls: dict[Slot, Pull] = {}
        self._tasks: dict[Pull, asyncio.Task[None]] = {}
        self._joins: set[asyncio.Task[None]] = set()
        self._joining: set[str] = set()
        self._places: dict[str, Pull] = {}
        self._kept: dict[str, Kept] = {}
        self._is_open = False

    def take_up(self, kept: dict[str, Kept]) -> None:
        """Go on with these, once somebody asks for the same."""
        self._kept = dict(kept)

    def open(self) -> None:
        """Begin to start pulls."""
        self._is_open = True
        self._dispatch()

    def add(self, ticket: Ticket) -> None:
        """Let an import wait for its turn."""
        self.queue.add(ticket)
        self._dispatch()

    def live(self, import_id: str) -> Live | None:
        """An import that runs now."""
        return self.lives.get(import_id)

    def counts(self) -> dict[str, int]:
        """How many imports wait and run; those on their way from the one to the other run."""
        return {"queued": len(self.queue), "running": len(self.lives.keys() | self._joining)}

    async def cancel(self, record: Import) -> None:
        """Let go of an import that was cancelled; when this returns, nothing of it is left."""
        self.queue.drop(record.id)
        live = self.lives.get(record.id)
        if live is not None:
            live.change(state=record.state, phase=None, verdict=record.verdict, ended_at=record.ended_at)
        if record.id in self.sent:
            await _end({self.sent[record.id]})
        pull = self._places.get(record.id)
        if pull is not None and pull.leave(record.id):
            await _end({self._tasks[pull]})

    async def close(self, grace_seconds: float) -> None:
        """Start nothing more, let pulls finish for a while, then park the rest."""
        self._is_open = False
        tasks = {*self._tasks.values(), *self._joins, *self.sent.values()}
        if tasks:
            await asyncio.wait(tasks, timeout=grace_seconds)
        for pull in self._tasks:
            pull.park()
        await _end({*self._joins, *self.sent.values()})
        await _end({*self._tasks.values()})

    def release(self, slot: Slot) -> None:
        """Free a slot, and give it to whoever waits."""
        self.queue.release(slot)
        self._dispatch()

    def _dispatch(self) -> None:
        self._connections.let_in(is_last=not self._is_open)
        if not self._is_open:
            return
        for slot, ticket in self.queue.take(self._parts.settings().imports):
            pull = self._pulls.get(slot) or self._begin(slot, ticket)
            pull.expect()
            self._joining.add(ticket.import_id)
            self._spawn(self._join(pull, ticket), self._joins)
        self._connections.let_in(is_last=True)

    def _begin(self, slot: Slot, ticket: Ticket) -> Pull:
        kept = self._kept.pop(ticket.request, None) or Kept(id=str(uuid4()), request=ticket.request)
        hooks = Hooks(
            seal=lambda: self.queue.seal(slot),
            ended=self._forget,
            go=lambda origin: self._connections.go(slot, origin),
            lives=self.lives.values,
        )
        pull = Pull(self._parts, kept, self._connections, hooks)
        self._pulls[slot] = pull
        self._tasks[pull] = asyncio.create_task(self._run(slot, pull), name=f"pull {kept.id}")
        return pull

    async def _run(self, slot: Slot, pull: Pull) -> None:
        # The task was begun by whoever made room for it: what their log lines carry is not its own.
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(pull_id=pull.id)
        try:
            with span("pull", is_first=True, pull_id=pull.id):
                await pull.run()
        finally:
            del self._pulls[slot], self._tasks[pull]
            self.release(slot)

    async def _join(self, pull: Pull, ticket: Ticket) -> None:
        """Let an import follow its pull; when that is over, it waits for one of its own."""
        try:
            is_in = await self._claim(pull, ticket)
            if not is_in:
                await self._parts.index.imports.requeue(ticket.import_id, datetime.now(UTC))
        finally:
            self._joining.discard(ticket.import_id)
        if not is_in:
            self.add(ticket)

    async def _claim(self, pull: Pull, ticket: Ticket) -> bool:
        """Claim an import for its pull; False when it is claimed and its pull is over."""
        live, secrets = None, None
        try:
            taken = await written(
                lambda: self._parts.index.imports.claim(ticket.import_id, datetime.now(UTC))
            )
            if taken is not None:
                record, secrets = taken
                live = Live(record, asyncio.get_running_loop().time)
        except Failure as failure:
            log.error("import.unclaimed", import_id=ticket.import_id, message=str(failure))  # noqa: TRY400 - ours
        finally:
            is_in = pull.arrive(live, secrets)
        if live is not None and is_in:
            self.lives[ticket.import_id], self._places[ticket.import_id] = live, pull
        return is_in or live is None

    def _forget(self, import_id: str) -> None:
        self._places.pop(import_id, None)
        live = self.lives.pop(import_id, None)
        if live is not None:
            live.tell()

    def _spawn(self, work: Coroutine[Any, Any, None], into: set[asyncio.Task[None]]) -> None:
        task = asyncio.create_task(work)
        into.add(task)
        task.add_done_callback(into.discard)


async def _end(tasks: set[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
