"""The parts of a service: opened in their order, handed to the faces, and closed again."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager

from fetcher.api.auth.identifier import identifier
from fetcher.api.auth.identity import Identifier
from fetcher.api.inbound.shares import counting
from fetcher.api.services import Services
from fetcher.api.streams.fingerprints import Fingerprints
from fetcher.api.streams.published import Published
from fetcher.attest import KeyFolder
from fetcher.attest.links import LinkKeys
from fetcher.catalogues import Catalogues, Keeper
from fetcher.engine import open_engine
from fetcher.engine.key_storage import key_storage_of
from fetcher.exporter import Exporter
from fetcher.importer import Context, Importer
from fetcher.index import open_index
from fetcher.index.values import Worker
from fetcher.maintenance import Attestor, Maintenance
from fetcher.pipeline import WorkerPool
from fetcher.service.configured import Configured
from fetcher.store.configured import index_path, store_of
from fetcher.threads import start_threads
from fetcher.transport import Gate
from fetcher.webhooks import WebhookDispatcher

THREADS = 8  # For what blocks now and then, and has no threads of its own.


@asynccontextmanager
async def open_parts(configured: Configured, *, is_started: bool) -> AsyncIterator[Services]:
    """Open all parts, take up what an earlier process left, and close everything again.

    Args:
        is_started: Without it, nothing is taken up: call `take_up` before any work.

    Raises:
        StoreFailed: The store or the index cannot be used, or another process has them.
    """
    async with AsyncExitStack() as stack:
        identify = identifier(configured)
        stack.callback(identify.close)
        context = await _open_context(configured, identify, stack)
        importer = Importer(context)
        stack.push_async_callback(importer.close)
        maintenance = Maintenance(context, importer.forget_old)
        if is_started:
            await maintenance.start()
            await importer.start()
        catalogues = Catalogues(context.gate, context.current, context.folder)
        yield Services(
            folder=context.folder,
            current=context.current,
            index=context.index,
            store=context.store,
            importer=importer,
            maintenance=maintenance,
            attestor=Attestor(context),
            link_keys=LinkKeys(key_storage_of(context.engine, KeyFolder.of(context.folder).path)),
            catalogues=catalogues,
            keeper=Keeper(importer, catalogues),
            webhook_dispatcher=WebhookDispatcher(context),
            exporter=Exporter(context),
            published=Published(
                context.index,
                context.current,
                Fingerprints(context.store, context.folder / "published"),
                context.engine,
                context.wanted.ask,
            ),
            identify=counting(identify),
            supervisor=context.supervisor,
            engine=context.engine,
        )


async def _open_context(configured: Configured, identify: Identifier, stack: AsyncExitStack) -> Context:
    """Open what imports, exports and maintenance share; the stack closes it."""
    settings = configured.settings
    pool = ThreadPoolExecutor(THREADS, thread_name_prefix="common")
    start_threads(pool, THREADS)
    asyncio.get_running_loop().set_default_executor(pool)
    store = store_of(settings, configured.folder, configured.reserve)
    await asyncio.to_thread(store.open)
    stack.callback(store.close)
    host = configured.host()
    worker = Worker(name=host.name, lease_seconds=host.lease_seconds)
    path = index_path(configured.folder)
    index = await stack.enter_async_context(
        open_index(settings.index, path, quota_of=configured.quota_of, worker=worker)
    )
    engine = await stack.enter_async_context(open_engine(settings.index, index, host))
    gate = Gate(own_ports=configured.ports)
    stack.push_async_callback(gate.close)
    worker_pool = WorkerPool(
        threads=settings.imports.threads,
        buffer_bytes=settings.imports.buffer_bytes,
        piece_bytes=settings.store.write_bytes,
    )
    stack.callback(worker_pool.close)
    return Context(
        folder=configured.folder,
        index=index,
        store=store,
        gate=gate,
        worker_pool=worker_pool,
        current=configured,
        service_token=identify.service_token,
        engine=engine,
    )
