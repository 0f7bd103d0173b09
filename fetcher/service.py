"""The service put together from its parts: `python server.py [--config FILE] [--listen HOST:PORT]`."""

import argparse
import asyncio
import logging
import os
import platform
import signal
import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from itertools import chain, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import msgspec
import structlog
import uvicorn
from starlette.applications import Starlette

from fetcher import __version__
from fetcher.aio.loop_watch import LoopWatch
from fetcher.aio.supervisor import Work, start_logged
from fetcher.api.app import build_app
from fetcher.api.auth.identifier import identifier
from fetcher.api.auth.identity import make_token
from fetcher.api.inbound import InboundServer, places
from fetcher.api.inbound.shares import counting
from fetcher.api.ops.metrics import Metrics
from fetcher.api.services import Services
from fetcher.api.streams.fingerprints import Fingerprints
from fetcher.api.streams.published import Published
from fetcher.api.submit.watch import Watch
from fetcher.attest import KeyFolder
from fetcher.attest.links import LinkKeys
from fetcher.catalogues import Catalogues, Keeper
from fetcher.config import BadConfig, data_folder, load_settings
from fetcher.descriptors import raise_limit
from fetcher.engine import open_engine
from fetcher.engine.key_shelf import shelf_of
from fetcher.engine.leading import led
from fetcher.engine.values import Host
from fetcher.errors import Failure
from fetcher.exporter import Exporter
from fetcher.importer import Context, Importer
from fetcher.index import open_index
from fetcher.index.protocol import Index
from fetcher.index.values import Quota, Worker
from fetcher.interpreter import spare_what_stays
from fetcher.listening import base_of, bind, release
from fetcher.log_lines import STDERR
from fetcher.logs import set_up_logs
from fetcher.maintenance import Attestor, Maintenance
from fetcher.memory import keep_freed_memory
from fetcher.pipeline import WorkerPool
from fetcher.store.configured import NO_CONDITIONS, examine_bucket, index_path, store_of
from fetcher.systemd import feed_watchdog, notify
from fetcher.threads import start_threads
from fetcher.transport import Gate
from fetcher.webhooks import WebhookDispatcher

if TYPE_CHECKING:
    from fetcher.api.auth.limits_keystone import Limits

log = structlog.get_logger()

# How long requests wait for a start: most have nothing to take up, and are over by then. With much to take up
# the port opens first, and `/readyz` says why not.
START_SECONDS = 0.2
# For requests to be told that the service stops, after what could finish has finished.
STOP_SECONDS = 4
THREADS = 8  # For what blocks now and then, and has no threads of its own.


class Service:
    """One configured service: its settings, which SIGHUP may replace, and its parts.

    Args:
        config: The operator's file, or None for the base file alone.
        changes: What the command line says on top.
    """

    def __init__(self, config: Path | None, changes: dict[str, dict[str, Any]] | None = None) -> None:
        self._config = config
        self._changes = changes or {}
        self._limits: Limits | None = None
        self._file = self.settings = load_settings(config, self._changes)
        self.ports: set[int] = set()
        self._stopping: asyncio.Future[None] | None = None
        self.folder = data_folder(self.settings, config)
        self.app = build_app(lambda: self.settings, self._lifespan)

    def reload(self) -> None:
        """Take up an edited file; a bad one is refused and the old limits stay."""
        try:
            self._file = load_settings(self._config, self._changes)
        except BadConfig as error:
            mistakes = [str(mistake) for mistake in error.mistakes]
            log.error("config.refused", mistakes=mistakes)  # noqa: TRY400 - the mistakes are the news, not where
        else:
            self._lay_over()
            log.info("config.taken")

    def open_port(self, port: int | None) -> None:
        """Note a port that clients reach us at, None for a path, and tell systemd that they do."""
        if port is not None:
            self.ports.add(port)
        notify("READY=1", f"STATUS=Listening on {self.settings.server.path or f'port {port}'}.")

    def take_limits(self, limits: "Limits") -> None:
        """Let Keystone's limits hold from now on."""
        self._limits = limits
        self._lay_over()

    def _lay_over(self) -> None:
        quota = self._file.quota if self._limits is None else self._limits.over(self._file.quota)
        self.settings = msgspec.structs.replace(self._file, quota=quota)

    def reserve(self, total_bytes: int) -> int:
        """Return how much of a file system must stay free."""
        rules = self.settings.store
        return max(rules.reserve_bytes, int(total_bytes * rules.reserve_percent / 100))

    def quota_of(self, project_id: str) -> Quota:
        """Return what a project may hold now."""
        return Quota(*self.settings.quota.all_of(project_id), self.settings.quota.max_text_bytes)

    def _host(self) -> Host:
        """Return who this process is among the hosts that share an index."""
        rules, settings = self.settings.cluster, self.settings
        # The folder's lock is one process's: with it, the name is too.
        name = rules.host or f"{platform.node()}:{self.folder}"
        return Host(
            name=name if settings.index.is_shared else Host().name,
            start=str(uuid4()),
            roles=tuple(rules.roles),
            version=__version__,
            lease_seconds=settings.imports.lease_seconds,
        )

    def _index(self, path: Path, host: Host) -> AbstractAsyncContextManager[Index]:
        worker = Worker(name=host.name, lease_seconds=host.lease_seconds)
        return open_index(self.settings.index, path, quota_of=self.quota_of, worker=worker)

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
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(signal.SIGHUP, self.reload)
            await self._start_background(services, app.state.watch, opened)
            starting = start_logged(_begin(services), "start")
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
                loop.remove_signal_handler(signal.SIGHUP)

    async def _start_background(self, services: Services, watch: Watch, opened: AsyncExitStack) -> None:
        """Give all that runs for as long as the service does to its supervisor."""
        engine = services.engine
        if "worker" in engine.host.roles:
            services.supervisor.start("maintenance", led(engine, "maintenance", services.upkeep.run))
            services.supervisor.start("attestations", led(engine, "attestations", services.attestor.run))
            services.supervisor.start("schedules", led(engine, "schedules", services.keeper.run))
            services.supervisor.start("webhooks", led(engine, "webhooks", services.webhook_dispatcher.run))
        services.importer.others.start()
        services.supervisor.start("catalogues", services.catalogues.run)
        services.supervisor.start("published", services.published.run)
        services.supervisor.start("leases", services.importer.renew_leases)
        services.supervisor.start("throughput", watch.run)
        services.supervisor.start("watchdog", feed_watchdog)
        if self.settings.quota.source == "keystone":
            services.supervisor.start("limits", await self._follow_limits(opened))

    async def _follow_limits(self, opened: AsyncExitStack) -> Work:
        """Ask Keystone for its limits before the first request, and give what asks again."""
        from fetcher.api.auth.limits_keystone import UnifiedLimits

        limits = UnifiedLimits(lambda: self.settings, self.take_limits)
        opened.callback(limits.close)
        await limits.refresh()
        return limits.run

    @asynccontextmanager
    async def open_services(self, *, is_started: bool = True) -> AsyncIterator[Services]:
        """Open all parts, take up what an earlier process left, and close everything again.

        Args:
            is_started: Without it, nothing is taken up: call `take_up` before any work.

        Raises:
            StoreFailed: The store or the index cannot be used, or another process has them.
        """
        settings = self.settings
        pool = ThreadPoolExecutor(THREADS, thread_name_prefix="common")
        start_threads(pool, THREADS)
        asyncio.get_running_loop().set_default_executor(pool)
        store = store_of(settings, self.folder, self.reserve)
        await asyncio.to_thread(store.open)
        async with AsyncExitStack() as stack:
            stack.callback(store.close)
            host = self._host()
            index = await stack.enter_async_context(self._index(index_path(self.folder), host))
            engine = await stack.enter_async_context(open_engine(settings.index, index, host))
            gate = Gate(own_ports=lambda: self.ports)
            stack.push_async_callback(gate.close)
            worker_pool = WorkerPool(
                threads=settings.imports.threads,
                buffer_bytes=settings.imports.buffer_bytes,
                piece_bytes=settings.store.write_bytes,
            )
            stack.callback(worker_pool.close)
            identify = identifier(lambda: self.settings)
            stack.callback(identify.close)
            context = Context(
                folder=self.folder,
                index=index,
                store=store,
                gate=gate,
                worker_pool=worker_pool,
                settings=lambda: self.settings,
                service_token=identify.service_token,
                engine=engine,
            )
            importer = Importer(context)
            stack.push_async_callback(importer.close)
            catalogues = Catalogues(gate, lambda: self.settings, self.folder)
            upkeep = Maintenance(context, importer.forget_old)
            if is_started:
                await upkeep.start()
                await importer.start()
            yield Services(
                folder=self.folder,
                settings=lambda: self.settings,
                index=index,
                store=store,
                importer=importer,
                upkeep=upkeep,
                attestor=Attestor(context),
                link_keys=LinkKeys(shelf_of(engine, KeyFolder.of(self.folder).path)),
                catalogues=catalogues,
                keeper=Keeper(importer, catalogues),
                webhook_dispatcher=WebhookDispatcher(context),
                exporter=Exporter(context),
                published=Published(
                    index, lambda: self.settings, Fingerprints(store, self.folder / "published")
                ),
                identify=counting(identify),
                supervisor=context.supervisor,
                engine=engine,
            )


def _say_held(seconds: float, stack: list[str]) -> None:
    log.warning("loop.held", seconds=round(seconds, 3), frames=stack)


async def _begin(services: Services) -> None:
    """Take up what an earlier process left; exports stage what they convert only when that is cleared."""
    await take_up(services)
    if "worker" in services.engine.host.roles:
        services.supervisor.start("exports", services.exporter.run)


async def take_up(services: Services) -> None:
    """Put right what an earlier process left, and begin to run imports; what fails is tried again."""
    waits = chain((1.0, 2.0, 5.0, 10.0), repeat(30.0))
    while not services.importer.is_open:
        try:
            await services.upkeep.start()
            await services.importer.start()
        except Exception as error:
            wait = next(waits)
            log.exception("start.failed", error=repr(error), again_in_seconds=wait)
            await asyncio.sleep(wait)


def _is_no_trace(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith("Traceback")


def inbound_server(service: Service) -> InboundServer:
    """Return the service behind a server whose clients have deadlines and places."""
    settings = service.settings
    shares = places(settings, raise_limit(settings.inbound.max_descriptors))
    say = log.warning if shares.is_tight else log.info
    say("start.descriptors", **shares._asdict())
    config = uvicorn.Config(
        service.app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # Ours takes them from `inbound.proxies`, not from an environment variable.
        ws="none",
        timeout_graceful_shutdown=int(settings.server.shutdown_seconds) + STOP_SECONDS,
        timeout_keep_alive=int(settings.inbound.idle_seconds)
        + 2,  # Ours is exact; this one is a net below it.
    )
    server = InboundServer(config, lambda: service.settings.inbound, shares.connections, service.stop)
    server.listens_on = service.open_port
    return server


def serve(service: Service) -> int:
    """Serve until a signal ends it; the answer is the exit code."""
    settings = service.settings
    try:
        listening = bind(settings.server)
    except OSError as error:
        print(f"Cannot listen on {settings.server.listen}: {error.strerror}.", file=sys.stderr)  # noqa: T201
        return 1
    base = settings.server.public_url or base_of(listening)
    STDERR.write(  # What a person who starts the service wants to know first.
        f"Glance Fetcher\n  page    {base}/\n  API     {base}/imports and {base}/v2/images\n"
        f"  limits  {base}/limits\n  data    {service.folder}\n"
    )
    server = inbound_server(service)
    server.closed = lambda: release(listening, settings.server)
    server.opened = spare_what_stays
    with suppress(KeyboardInterrupt):  # Raised again after an orderly stop; there is nothing more to say.
        server.run(sockets=[listening])
    return 0 if server.started else 1


def main(arguments: list[str] | None = None) -> int:
    """Check the configuration or serve it; the answer is the exit code."""
    parser = argparse.ArgumentParser(prog="server.py", description="Submit a URL, get an image.")
    parser.add_argument("--config", type=Path, metavar="FILE", help="laid over config.toml key by key")
    parser.add_argument("--listen", metavar="HOST:PORT|unix:PATH", help="instead of server.listen")
    parser.add_argument("--check-config", action="store_true", help="list every mistake of the file and exit")
    parser.add_argument(
        "--make-token", action="store_true", help="make a token for auth.mode = tokens and exit"
    )
    options = parser.parse_args(arguments)
    if options.make_token:
        token, sha256 = make_token()
        print(f"token   {token}\nsha256  {sha256}")  # noqa: T201 - the answer to --make-token
        return 0
    changes = {"server": {"listen": options.listen}} if options.listen else {}
    try:
        service = Service(options.config, changes)
    except BadConfig as error:
        for mistake in error.mistakes:
            print(mistake, file=sys.stderr)  # noqa: T201 - the answer to --check-config
        return 2
    if options.check_config:
        try:
            is_kept = not service.settings.store.url or examine_bucket(service.settings)
        except Failure as failure:
            print(f"store.url = {service.settings.store.url}: {failure}", file=sys.stderr)  # noqa: T201 - likewise
            return 2
        if not is_kept:
            print(f"store.url = {service.settings.store.url}: {NO_CONDITIONS}", file=sys.stderr)  # noqa: T201
        print("The configuration is valid.")  # noqa: T201 - likewise
        return 0
    os.umask(0o077)  # Whatever is made from here on is for this user alone.
    set_up_logs(service.settings)
    keep_freed_memory()
    return serve(service)
