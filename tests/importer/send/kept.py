"""An image service that lies, hangs, fails and dies as a test says; else it stages and imports like Glance.

    kept = Kept()
    kept.on("PUT /stage", answer(413, "over quota"), once=True)
    async with Origin({"*": kept}) as glance: ...

Source of the answers: Glance's api-ref, "Interoperable image import"; its errors are webob's pages.
"""

import asyncio
import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Any

from tests.lab.origin import Exchange

Fault = Callable[[Exchange, "Kept"], Awaitable[None]]


async def say(exchange: Exchange, status: int, document: Any = None, **fields: str) -> None:
    """Answer with a document, or with nothing."""
    body = b"" if document is None else json.dumps(document).encode()
    kind = {} if document is None else {"Content-Type": "application/json"}
    await exchange.send_head(status, {"Content-Length": len(body), "Connection": "close", **kind, **fields})
    await exchange.send(body)


def answer(status: int, words: str = "", **fields: str) -> Fault:
    """Read the request, then refuse it as webob does."""

    async def fault(exchange: Exchange, _kept: "Kept") -> None:
        await exchange.read_body()
        title = f"{status} No"
        page = f"<html><head><title>{title}</title></head><body><h1>{title}</h1>{words}<br /></body></html>"
        await exchange.send_head(
            status, {"Content-Type": "text/html", "Content-Length": len(page.encode()), **fields}
        )
        await exchange.send(page)

    return fault


async def hang(exchange: Exchange, kept: "Kept") -> None:
    """Say nothing until the client gives up."""
    kept.hung += 1
    kept.is_hung.set()
    await exchange.wait_gone()


async def die(exchange: Exchange, _kept: "Kept") -> None:
    """Break the connection off before any answer."""
    exchange.reset()


async def die_in_the_body(exchange: Exchange, kept: "Kept") -> None:
    """Take a part of the bytes for all of them, and break the connection off."""
    part = await exchange._reader.readexactly(10_000)
    kept.take(exchange.request.path, part)
    exchange.reset()


async def chatter(exchange: Exchange, _kept: "Kept") -> None:
    """Answer with no document at all."""
    await exchange.read_body()
    await exchange.send_head(200, {"Content-Length": 7})
    await exchange.send("[[[[[[[")


class Kept:
    """The state of the service: a behaviour for every path of an Origin.

    Attributes:
        records: Images by id.
        calls: Every call as `VERB /what`, in their order.
        after_import: What an import makes of a record; a test may put something else here.
    """

    def __init__(self) -> None:
        self.records: dict[str, dict[str, Any]] = {}
        self.calls: list[str] = []
        self.tokens: set[str | None] = set()
        self.service_tokens: set[str | None] = set()
        self.hung = 0
        self.is_hung = asyncio.Event()
        self.removed: list[str] = []
        self.after_import: Callable[[dict[str, Any]], None] = lambda record: record.update(status="active")
        self._staged: dict[str, bytes] = {}
        self._faults: dict[str, list[tuple[Fault, bool]]] = defaultdict(list)

    def on(self, call: str, fault: Fault, *, once: bool = False) -> None:
        """Let a kind of call go wrong, from now on or once."""
        self._faults[call].append((fault, once))

    def take(self, path: str, data: bytes) -> None:
        """Keep staged bytes."""
        record = self.records[path.split("/")[3]]
        self._staged[record["id"]] = data
        record["status"] = "uploading"

    async def __call__(self, exchange: Exchange) -> None:
        """Answer one request."""
        request = exchange.request
        what = re.sub(
            r"^/v2/images(/[0-9a-f-]{36})?", lambda found: "/ID" if found[1] else "/images", request.path
        )
        call = f"{request.method} {what.removeprefix('/ID') or '/ID'}"
        self.calls.append(call)
        self.tokens.add(request.header("X-Auth-Token"))
        self.service_tokens.add(request.header("X-Service-Token"))
        if faults := self._faults[call]:
            fault, once = faults[0]
            if once:
                faults.pop(0)
            await fault(exchange, self)
            return
        await self._serve(exchange, call)

    async def _serve(self, exchange: Exchange, call: str) -> None:
        request = exchange.request
        body = await exchange.read_body()
        if call == "POST /images":
            record = json.loads(body)
            if record["id"] in {*self.records, *self.removed}:
                await say(exchange, 409)
                return
            self.records[record["id"]] = {**record, "status": "queued"}
            await say(exchange, 201, self.records[record["id"]])
            return
        record = self.records.get(request.path.split("/")[3])
        if record is None:
            await say(exchange, 404)
            return
        status, document = self._changed(call, record, body)
        await say(exchange, status, document)

    def _changed(self, call: str, record: dict[str, Any], body: bytes) -> tuple[int, Any]:
        """Do what a call asks of a record; status and document of the answer."""
        if call == "PUT /stage":
            self.take(f"/v2/images/{record['id']}", body)
            return 204, None
        if call == "POST /import":
            self._import(record)
            return 202, None
        if call == "PATCH /ID":
            record.update({one["path"][1:]: one["value"] for one in json.loads(body)})
        if call == "GET /tasks":
            return 200, {"tasks": [{"message": "Task failed due to \x1b[31mred\n<b>ink</b>"}]}
        if call == "DELETE /ID":
            self.removed.append(record["id"])
            del self.records[record["id"]]
            return 204, None
        return 200, record

    def _import(self, record: dict[str, Any]) -> None:
        data = self._staged[record["id"]]
        digest = hashlib.sha512(data).hexdigest()
        record |= {"size": len(data), "os_hash_algo": "sha512", "os_hash_value": digest}
        record["checksum"] = hashlib.md5(data, usedforsecurity=False).hexdigest()
        self.after_import(record)
