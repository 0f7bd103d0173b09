"""What the hosts stand on: a database, a store, and a wire from each host to each of them."""

import asyncio
import random
import signal
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from fetcher.crash import VARIABLE
from fetcher.store.s3.bucket import Bucket
from tests.contract.index import postgres
from tests.contract.index.postgres import PostgresPlaces
from tests.lab import skew
from tests.lab.bucket import BucketServer, bucket_server
from tests.lab.bucket_store import PART_BYTES, credentials
from tests.lab.origin import Origin
from tests.lab.relay import Streams
from tests.lab.shortage import Switch
from tests.processes import Process
from tests.several.hosts import Hosts
from tests.several.lives import Host, Nursery
from tests.store.s3.test_service import place_in
from tests.torture_hosts.wire import Wire

Kind = Literal["bucket", "folder"]

COUNT = 4
LEASE_SECONDS = 6.0
SKEW_SECONDS = 600  # More, and every server of buckets refuses a host's signatures.
QUOTA_IMAGES = 1_000
STOP_SECONDS = 60  # A host that is told to stop does within one, on a machine that has time for it.
STUCK = "does not stop"
SECTIONS: dict[str, dict[str, Any]] = {
    "imports": {
        "max_running_per_origin": 200,
        "max_submits_per_minute": 1_000_000,
        "lease_seconds": LEASE_SECONDS,
    },
    "index": {"connect_seconds": 5.0, "max_connections": 8},
    "retry": {"attempts": 12, "first_wait_seconds": 0.01, "max_wait_seconds": 0.1},
    "pace": {"idle_seconds": 0.5, "unreachable_step_seconds": 0.0},
    "quota": {"max_images": QUOTA_IMAGES},
    "resume": {"mark_bytes": 65_536, "checkpoint_bytes": 131_072, "save_seconds": 0.1},
    "ranges": {"min_bytes": 400_000, "segment_bytes": 65_536},
    "reuse": {"revalidate": "project"},
    "server": {"shutdown_seconds": 1.0},
}


class Ground:
    """Hosts, their wires, and the servers behind these.

    Attributes:
        database_url: For who looks, past all wires.
        bucket: Likewise; None where blobs lie in a folder.
    """

    def __init__(self, folder: Path, origin: Origin, kind: Kind, dice: random.Random) -> None:
        self.folder = folder
        self._origin = origin
        self._kind = kind
        self._dice = dice
        self.bucket: Bucket | None = None
        self._weed: BucketServer | None = None
        self.database_wires: list[Wire] = []
        self.store_wires: list[Wire] = []
        self.switches: list[Switch] = []
        self.hosts: list[Host] = []

    async def __aenter__(self) -> Self:
        """Start the servers, and configure the hosts."""
        async with AsyncExitStack() as stack:
            server = stack.enter_context(postgres.server())
            self._data = postgres.folder_of(server)
            place = PostgresPlaces(server).new()
            self.database_url = place.url
            database = place.url.rpartition("=")[2]
            hosts = Hosts(self.folder, place, self._origin, 0, **SECTIONS)
            store: dict[str, dict[str, Any]] = {}
            if self._kind == "bucket":
                weed = self._weed = stack.enter_context(bucket_server(self.folder))
                keys = {
                    "credentials_file": str(credentials(self.folder)),
                    "part_bytes": PART_BYTES,
                    "patience_seconds": 3.0,
                }
                store = {"store": {"url": "s3://images/torture"}, "bucket": keys}
                direct = {**store, "bucket": {**keys, "endpoint": weed.endpoint}}
                self.bucket = Bucket(place_in(direct))
                self.bucket.open()
                stack.callback(self.bucket.close)
            for number in range(COUNT):
                sections = {name: dict(rules) for name, rules in store.items()}
                wire = await stack.enter_async_context(Wire(self._dial_database, self._dice))
                self.database_wires.append(wire)
                sections["index"] = {
                    "url": f"postgresql://fetcher@127.0.0.1:{wire.port}/{database}?sslmode=disable"
                }
                if self._kind == "bucket":
                    wire = Wire(partial(asyncio.open_connection, weed.host, weed.port), self._dice)
                    self.store_wires.append(await stack.enter_async_context(wire))
                    sections["bucket"]["endpoint"] = f"http://127.0.0.1:{wire.port}"
                config = hosts.configure(number, **sections)
                self.hosts.append(Host(config, Nursery(self._prepare(number))))
            await asyncio.gather(*(stack.enter_async_context(host.nursery) for host in self.hosts))
            self._stack = stack.pop_all()
        return self

    async def make_room(self) -> None:
        """Have the store give back what was removed, so that it is full only where that is the trouble."""
        if self._weed is not None:
            await asyncio.to_thread(self._weed.make_room)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End everything."""
        for host in self.hosts:
            await end(host, signal.SIGKILL)
        await self._stack.aclose()

    def _prepare(self, number: int) -> dict[str, str]:
        """Give a host its place for staged bytes; return what is loaded for a bad disk and a wrong clock."""
        staging = self.folder / "staging" / f"host{number}"
        staging.mkdir(parents=True, mode=0o700)
        (self.data(number) / "staging").symlink_to(staging)
        home = self.folder / f"host{number}"
        switch = Switch(home)
        if switch.environment:
            switch.environment["SHORTAGE_FOLDER"] = str(self.folder)
        self.switches.append(switch)
        skewed = skew.environment(home, 0)
        libraries = [found["LD_PRELOAD"] for found in (switch.environment, skewed) if found]
        return {**switch.environment, **skewed, "LD_PRELOAD": ":".join(libraries)}

    async def _dial_database(self) -> Streams:
        return await asyncio.open_unix_connection(str(self._data / ".s.PGSQL.5432"))

    def data(self, number: int) -> Path:
        """Return the folder of a host."""
        return self.folder / f"host{number}" / "data"

    def give_fate(self, number: int, step: str, seconds: int) -> None:
        """Say where the next life of a host ends by itself, and how wrong its clock is."""
        self.hosts[number].environment = {
            "SKEW_SECONDS": str(seconds),
            **({VARIABLE: step} if step else {}),
        }

    async def restart_database(self, how: Literal["fast", "immediate"]) -> None:
        """Stop the database as an operator or a power loss does, and start it again."""
        await asyncio.to_thread(postgres.stop, self._data, how)
        await asyncio.sleep(self._dice.uniform(0, LEASE_SECONDS))
        await asyncio.to_thread(postgres.start, self._data)


async def end(process: Process, how: signal.Signals) -> int | str | None:
    """End a process with a signal, in whatever state it is; None where it never began.

    One that has not ended long after its time to stop is killed, and told by `STUCK`; what it waited for is
    in `tasks.txt` beside its configuration.
    """
    running = getattr(process, "_process", None)
    if running is None:
        return None
    if running.returncode is None:
        with suppress(ProcessLookupError):
            running.send_signal(signal.SIGCONT)
            running.send_signal(how)
    try:
        async with asyncio.timeout(STOP_SECONDS):
            code = await running.wait()
    except TimeoutError:
        running.send_signal(signal.SIGUSR1)
        await asyncio.sleep(1)
        running.send_signal(signal.SIGKILL)
        await running.wait()
        code = STUCK
    if hasattr(process, "client") and not process.client.closed:
        await process.client.close()
    if hasattr(process, "_reading"):
        process._reading.cancel()
    return code
