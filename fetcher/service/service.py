"""One service, from its start to its end."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import structlog
from starlette.applications import Starlette

from fetcher.aio.loop_watch import LoopWatch
from fetcher.aio.supervisor import start_logged
from fetcher.api.app import build_app
from fetcher.api.ops.metrics import Metrics
from fetcher.api.services import Services
from fetcher.api.submit.watch import Watch
from fetcher.config import Settings
from fetcher.errors import Failure
from fetcher.log_lines import STDERR
from fetcher.service.background import begin, start_background
from fetcher.service.configured import Configured
from fetcher.service.parts import open_parts
from fetcher.service.reloading import Reloads
from fetcher.systemd import notify

log = structlog.get_logger()

# How long requests wait for a start: most have nothing to take up, and are over by then. With much to take up
# the port opens first, and `/readyz` says why not.
START_SECONDS = 0.2


class Service(Configured):
    """One configured service: its settings, its application, and its parts while that runs."""

    def __init__(
        self,
        config: Path | None,
        changes: dict[str, dict[str, Any]] | None = None,
        loaded: Settings | None = None,
    ) -> None:
        super().__init__(config, changes, loaded)
        self._stopping: asyncio.Future[None] | None = None
        self.app = build_app(self, self._lifespan)

    def open_port(self, port: int | None) -> None:
        """Note a port that clients reach us at, None for a path, and notify systemd."""
        if port is not None:
            self.ports.add(port)
        notify("READY=1", f"STATUS=Listening on {self.settings.server.path or f'port {port}'}.")

    async def stop(self) -> None:
        """Take no more work; let what runs finish for a while, then end or park it. Once for all callers."""
        if self._stopping is None:
            notify("STOPPING=1")
            services: Services = self.app.state.services
            closing = services.importer.close(self.settings.server.shutdown_seconds)
            self._stopping = asyncio.ensure_future(closing)
        await asyncio.shield(self._stopping)

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as opened:
            try:
                services = await opened.enter_async_context(self.open_services(is_started=False))
            except Failure as failure:
                STDERR.write(f"Cannot start: {failure}\n")  # For whoever starts it.
                # What follows is the server's own account of it, with the way through our code.
                logging.getLogger("uvicorn.error").addFilter(_is_no_trace)
                raise
            app.state.services = services
            app.state.watch = Watch(services.importer)
            loop_watch = LoopWatch(self.settings.log.held_loop_seconds, _say_held)
            opened.callback(loop_watch.close)
            app.state.metrics = Metrics(services, loop_watch)
            await app.state.metrics.begin()
            await opened.enter_async_context(Reloads(self.reload_beside).by_signal())
            await start_background(self, services, app.state.watch, opened)
            starting = start_logged(begin(services), "start")
            try:
                await asyncio.wait({starting}, timeout=START_SECONDS)
                yield
                await self.stop()
            finally:
                starting.cancel()
                await services.supervisor.close()
                await services.webhook_dispatcher.close()
                await services.exporter.close()
                await asyncio.wait({starting})

    def open_services(self, *, is_started: bool = True) -> AbstractAsyncContextManager[Services]:
        """Open all parts, take up what an earlier process left, and close everything again.

        Args:
            is_started: Without it, nothing is taken up: call `take_up` before any work.

        Raises:
            StoreFailed: The store or the index cannot be used, or another process has them.
        """
        return open_parts(self, is_started=is_started)


def _say_held(seconds: float, stack: list[str]) -> None:
    log.warning("loop.held", seconds=round(seconds, 3), frames=stack)


def _is_no_trace(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith("Traceback")
