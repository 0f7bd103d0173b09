"""Clients that submit, follow, cancel, delete and fetch at any host, and remember what they were told."""

import asyncio
import hashlib
import random
from collections import Counter
from typing import Any

import aiohttp

from tests.processes import Process
from tests.torture import Flapping

GONE = (aiohttp.ClientError, OSError, AssertionError, TimeoutError, AttributeError, ValueError, RuntimeError)
PATIENCE = aiohttp.ClientTimeout(total=5)
ACTS = {"submit": 6, "html": 1, "cancel": 1, "delete": 3, "follow": 3, "fetch": 2, "wait": 2}
MADE, OK, GONE_STATUS, SERVER_ERROR = 202, 200, 404, 500
MAY_REFUSE = {"submit": {413, 429, 503, 507}}
FINAL = {"succeeded", "refused", "failed", "cancelled"}
AT_REST = 300  # So many images are left at a rest, at most.


class Clients:
    """What was said to them is held against what is there.

    Attributes:
        taken: Imports that were answered 202, and the path of each.
        ends: The end of each import, as far as somebody was told.
        deleted: Images whose deletion was acknowledged.
        violations: What did not hold, in words.
        statuses: How often each kind of request was answered how.
    """

    def __init__(
        self, hosts: list[Process], flapping: Flapping, url: Any, dice: random.Random, violations: list[str]
    ) -> None:
        self._hosts = hosts
        self.flapping = flapping
        self._url = url
        self._dice = dice
        self.violations = violations
        self.taken: dict[str, str] = {}
        self.ends: dict[str, str] = {}
        self.deleted: set[str] = set()
        self.statuses: Counter[str] = Counter()

    async def act_for_ever(self) -> None:
        """Do one thing after the other at whatever host is there."""
        while True:
            what = self._dice.choices(list(ACTS), list(ACTS.values()))[0]
            host = self._dice.choice(self._hosts)
            try:
                async with asyncio.timeout(10):
                    await self._act(what, host)
            except GONE:
                self.statuses[f"{what} -"] += 1
            await asyncio.sleep(self._dice.uniform(0, 0.2))

    async def _act(self, what: str, host: Process) -> None:
        if what in {"submit", "html"}:
            path = "/html" if what == "html" else self._dice.choice(sorted(self.flapping.bodies))
            await self.submit(host, path)
        elif what == "cancel" and self.taken:
            await self._call("cancel", host, "DELETE", f"/imports/{self._any()}")
        elif what == "follow" and self.taken:
            await self._follow(host, self._any())
        elif what in {"delete", "fetch"}:
            _status, document = await self._call(what, host, "GET", "/v2/images?status=active&limit=50")
            images = document.get("images", []) if isinstance(document, dict) else []
            if images:
                image = self._dice.choice(images)["id"]
                await (self.delete(host, image) if what == "delete" else self._fetch(host, image))

    def _any(self) -> str:
        """One of the last imports, most of which have not ended."""
        return self._dice.choice(list(self.taken)[-60:])

    async def _call(
        self, what: str, host: Process, method: str, path: str, **options: Any
    ) -> tuple[int, Any]:
        async with host.client.request(method, path, timeout=PATIENCE, **options) as answer:
            document = await answer.json(content_type=None) if answer.status != 204 else {}
            self.statuses[f"{what} {answer.status}"] += 1
            if answer.status == SERVER_ERROR:
                self.violations.append(f"{method} {path} was answered {answer.status}: {document}")
            if answer.status == 503 and "Retry-After" not in answer.headers:
                self.violations.append(f"{method} {path}: 503 without Retry-After: {document}")
            return answer.status, document

    async def submit(self, host: Process, path: str) -> str | None:
        """Submit a path of the origin; the import's id comes back where it was taken."""
        fields = {"url": self._url(path), "disk_format": "raw"}
        status, document = await self._call("submit", host, "POST", "/imports", json=fields)
        if status == MADE:
            self.taken[document["id"]] = path
            return str(document["id"])
        if status not in MAY_REFUSE["submit"]:
            self.violations.append(f"a submission was answered {status}: {document}")
        return None

    async def _follow(self, host: Process, import_id: str) -> None:
        status, document = await self._call("follow", host, "GET", f"/imports/{import_id}")
        if status == GONE_STATUS:
            self.violations.append(f"import {import_id} was answered 202 and is not found")
        elif status == OK and document["state"] in FINAL:
            before = self.ends.setdefault(import_id, document["state"])
            if before != document["state"]:
                self.violations.append(f"import {import_id} was {before} and is {document['state']}")

    async def delete(self, host: Process, image: str) -> None:
        """Delete an image; one that is gone was deleted by an answer that got lost, or by another client."""
        status, _document = await self._call("delete", host, "DELETE", f"/v2/images/{image}")
        if status == 204:
            self.deleted.add(image)

    async def _fetch(self, host: Process, image: str) -> None:
        async with host.client.get(f"/v2/images/{image}/file", timeout=PATIENCE) as answer:
            self.statuses[f"file {answer.status}"] += 1
            if answer.status == OK:
                found = hashlib.sha256(await answer.read()).hexdigest()
                if found not in self.known():
                    self.violations.append(f"image {image} was given out with other bytes")

    def known(self) -> set[str]:
        """Return the digest of everything that the origin gives."""
        return set(self.flapping.digests.values())
