"""The connection to a bucket: one client in a thread of its own, whose answers are translated once."""

import asyncio
import random
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from contextlib import AsyncExitStack
from typing import Any, TypeVar

import structlog
from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession
from botocore.loaders import create_loader

from fetcher.aio.shield import shielded
from fetcher.errors import Shortage, StoreFailed, StoreFull
from fetcher.store.s3.place import Place
from fetcher.store.s3.wire import faults

R = TypeVar("R")

FIRST_WAIT_SECONDS = 0.05
MAX_WAIT_SECONDS = 5.0
CONNECT_SECONDS = 10.0
LOADER = create_loader()  # What it has read of the service's description serves every client.

log = structlog.get_logger()


class Connection:
    """Runs coroutines on a thread of its own, and sends requests to one bucket from there.

    A request that meets a busy server, a reset or a timeout is sent again for
    `patience_seconds`; then it is a Shortage, which is no verdict on anything.

    Attributes:
        client: Of the bucket's server; there once it is open.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        self.client: Any = None
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(_note_unasked)
        self._thread = threading.Thread(target=self._loop.run_forever, name="bucket", daemon=True)
        self._stack = AsyncExitStack()

    def open(self) -> None:
        """Start the thread and make the client; no request is sent."""
        self._thread.start()
        self.run(self._connect())

    async def _connect(self) -> None:
        place = self.place
        session = AioSession()
        session.register_component("data_loader", LOADER)
        if place.credentials_file:
            session.set_config_variable("credentials_file", place.credentials_file)
        config = AioConfig(
            signature_version="s3v4",
            s3={"addressing_style": place.addressing},
            retries={"total_max_attempts": 1},  # Ours wait longer, and know which answers may be repeated.
            connect_timeout=CONNECT_SECONDS,
            read_timeout=place.request_seconds,
            max_pool_connections=64,
        )
        making = session.create_client(
            "s3", endpoint_url=place.endpoint or None, region_name=place.region, config=config
        )
        try:
            self.client = await self._stack.enter_async_context(making)
        except Exception as error:
            raise faults.translate(error, "connect") from error

    def close(self) -> None:
        """Close the client and end the thread; closing twice is nothing."""
        if not self._thread.is_alive():
            self._loop.close()
            return
        self.run(self._stack.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def start(self, work: Coroutine[Any, Any, R]) -> Future[R]:
        """Begin work on the bucket's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def run(self, work: Coroutine[Any, Any, R]) -> R:
        """Do work on the bucket's loop; blocks."""
        return self.start(work).result()

    async def call(self, work: Coroutine[Any, Any, R]) -> R:
        """Do work on the bucket's loop; cancelling the caller cancels it."""
        return await asyncio.wrap_future(self.start(work))

    async def finish(self, work: Coroutine[Any, Any, R]) -> R:
        """Do work on the bucket's loop to its end, also when the caller is cancelled meanwhile."""
        return await shielded(self.call(work))

    async def look(self) -> None:
        """Ask for the bucket once, without patience: for who wants to know whether it works.

        Raises:
            StoreFailed: It does not.
        """
        try:
            await self.client.list_objects_v2(Bucket=self.place.bucket, Prefix=self.place.prefix, MaxKeys=1)
        except Exception as error:
            raise faults.translate(error, "look") from error

    def at(self, key: str) -> dict[str, str]:
        """Name an object as requests do."""
        return {"Bucket": self.place.bucket, "Key": self.place.prefix + key}

    async def with_retries(self, doing: str, send: Callable[[], Awaitable[R]]) -> R:
        """Send a request, and again while the server is busy or away.

        Raises:
            Shortage: It was for too long.
            StoreFull: The server has no room.
            StoreFailed: It refused.
        """
        end = self._loop.time() + self.place.patience_seconds
        wait = FIRST_WAIT_SECONDS
        while True:
            try:
                return await send()
            except (StoreFailed, StoreFull):
                raise
            except Exception as error:
                failure = faults.translate(error, doing)
                if not isinstance(failure, Shortage) or self._loop.time() + wait > end:
                    raise failure from error
                log.info("bucket.again", doing=doing, detail=failure.reason, again_in_seconds=round(wait, 2))
            await asyncio.sleep(wait * random.uniform(0.5, 1.0))  # noqa: S311 - spreads load, guards nothing
            wait = min(2 * wait, MAX_WAIT_SECONDS)


def _note_unasked(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Note what a task met that nobody asks.

    The HTTP client writes a body in one: where the server closes the connection at the moment at which it is
    taken, the request fails and is sent again, and the task that could not write says it once more.
    """
    if isinstance(context.get("exception"), ConnectionError):
        log.info("bucket.cut", detail=str(context["exception"]))
    else:
        loop.default_exception_handler(context)
