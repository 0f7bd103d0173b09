"""The whole service on a free port of loopback, in this process: real sockets, real files, real SQLite.

async with Running(tmp_path, origin) as service:
    created = await service.submit(url=origin.url("/disk"))
    ended = await service.ended(created["id"])
"""

import asyncio
import json
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

import aiohttp
import tomlkit

from fetcher.api.inbound.crowd import Crowd
from fetcher.listening import bind
from fetcher.service import Service, inbound_server
from tests.lab.origin import Origin

PATIENT_SECONDS = 100


class Running:
    """A running service and a client of it.

    Args:
        folder: Where its configuration and store are.
        origins: May be fetched from.
        sections: Further keys of the configuration.

    Attributes:
        everywhere: Sections of every configuration that is written, such as that of a database.
    """

    everywhere: ClassVar[dict[str, dict[str, Any]]] = {}

    def __init__(self, folder: Path, *origins: Origin, **sections: dict[str, Any]) -> None:
        self.folder = folder
        self.config = folder / "config.toml"
        self._origins = origins
        self._sections = sections
        self.service: Service
        self.base = ""

    def write_config(self, **sections: dict[str, Any]) -> None:
        """Write the operator's file; sections laid over those of the start."""
        hosts: list[dict[str, Any]] = [
            {"cidr": f"{origin.host}/32", "ports": [origin.port]} for origin in self._origins
        ]
        merged: dict[str, dict[str, Any]] = {
            "server": {"listen": "127.0.0.1:0", "event_seconds": 0.02, "shutdown_seconds": 0.2},
            "store": {"folder": "data", "reserve_percent": 0.0, "reserve_bytes": 0, "ballast_bytes": 65_536},
            "address": {"allow": hosts},
            "pace": {"unreachable_step_seconds": 0.0},
            "maintenance": {"repair": False},  # Else a mark wakes it before a test has seen the damage.
            "retry": {"first_wait_seconds": 0.01, "max_wait_seconds": 0.05},
        }
        for name, keys in [*self.everywhere.items(), *self._sections.items(), *sections.items()]:
            merged[name] = merged.get(name, {}) | keys
        self.config.write_text(tomlkit.dumps(merged))

    async def __aenter__(self) -> Self:
        """Start it, and wait until it takes requests."""
        self.write_config()
        self.service = Service(self.config)
        listening = bind(self.service.settings.server)
        path = self.service.settings.server.path
        self.base = "http://localhost" if path else f"http://127.0.0.1:{listening.getsockname()[1]}"
        self._server = inbound_server(self.service)
        self._task = asyncio.create_task(self._server.serve(sockets=[listening]))
        connector = aiohttp.UnixConnector(str(path)) if path else None
        self.client = aiohttp.ClientSession(self.base, connector=connector)
        while not self._server.started:
            if self._task.done():
                await self.client.close()
                self._task.result()
                raise RuntimeError("the service did not start")
            await asyncio.sleep(0.005)
        async with asyncio.timeout(PATIENT_SECONDS):
            services = self.service.app.state.services
            # Chores begin right after it, "digests" last of them on every kind of host.
            while not (services.importer.is_open and "digests" in services.supervisor.tasks):
                await asyncio.sleep(0.005)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        await self.client.close()
        self._server.should_exit = True
        await self._task

    @property
    def crowd(self) -> Crowd:
        """Its connections."""
        return self._server.crowd

    def silent_clients(self) -> int:
        """How many connections have asked for nothing yet."""
        return sum(len(clients) for clients in self.crowd._strangers.values())

    @property
    def data(self) -> Path:
        """The store's folder."""
        return self.folder / "data"

    async def get(self, path: str, **options: Any) -> Any:
        """GET a JSON document that must be there."""
        async with self.client.get(path, **options) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def call(self, method: str, path: str, **options: Any) -> tuple[int, Any, dict[str, str]]:
        """Make a request; status, document and headers come back."""
        async with self.client.request(method, path, **options) as answer:
            text = await answer.text()
            document = json.loads(text) if "json" in answer.headers.get("Content-Type", "") else text
            return answer.status, document, {name.lower(): value for name, value in answer.headers.items()}

    async def submit(self, **fields: Any) -> dict[str, Any]:
        """Submit an import that must be taken; of a raw disk unless `disk_format` says otherwise."""
        fields = {"disk_format": "raw"} | fields
        status, document, _headers = await self.call("POST", "/imports", json=fields)
        assert status == 202, document
        return dict(document)

    async def ended(self, import_id: str) -> dict[str, Any]:
        """Follow an import to its end, and give its last event."""
        async with asyncio.timeout(PATIENT_SECONDS):
            async for name, document in self.events(import_id):
                if name == "end":
                    return document
        raise AssertionError("the events ended before the import did")

    async def events(self, import_id: str, **options: Any) -> Any:
        """The server-sent events of an import."""
        name = ""
        async with self.client.get(f"/imports/{import_id}/events", **options) as answer:
            assert answer.status == 200, await answer.text()
            async for raw in answer.content:
                line = raw.decode().rstrip("\r\n")
                if line.startswith("event: "):
                    name = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    yield name, json.loads(line.removeprefix("data: "))

    async def run(self, **fields: Any) -> dict[str, Any]:
        """Submit and follow to the end."""
        created = await self.submit(**fields)
        return await self.ended(created["id"])

    def traces(self) -> list[str]:
        """Every file in staging and among the blobs."""
        roots = (self.data / "staging", self.data / "blobs")
        return sorted(
            str(path.relative_to(self.data)) for root in roots for path in root.rglob("*") if path.is_file()
        )
