"""A redirect from https to http: followed for those whose own digest will tell."""

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import pytest

from tests.images import raw
from tests.lab import behaviours
from tests.lab.certificates import Authorities
from tests.lab.origin import Origin
from tests.service import Running

BODY = raw(100_000)
PROMISE = f"sha256:{hashlib.sha256(BODY).hexdigest()}"


@pytest.mark.parametrize(
    ("promise", "rules", "state"),
    [
        ({"checksum": PROMISE}, {}, "succeeded"),
        ({"checksum": PROMISE.replace("sha256:", "sha256:0")[:-1]}, {}, "refused"),
        ({"checksum": f"md5:{hashlib.md5(BODY, usedforsecurity=False).hexdigest()}"}, {}, "refused"),
        ({}, {}, "refused"),
        ({"checksum": PROMISE}, {"allow_promised_downgrade": False}, "refused"),
        ({}, {"allow_downgrade": True}, "succeeded"),
    ],
)
async def test_a_promise_lets_a_redirect_lead_to_http(
    promise: dict[str, Any], rules: dict[str, bool], state: str, tmp_path: Path
) -> None:
    """A digest that counts; the operator has the last word. The submitter's headers stay behind."""
    authorities = Authorities()
    async with (
        Origin({"/x": behaviours.serve(BODY)}) as plain,
        Origin({"/x": behaviours.redirect(plain.url("/x"))}, tls=authorities.good("127.0.0.1")) as secure,
        Running(tmp_path, plain, secure, tls=authorities.trusted(tmp_path), redirects=rules) as service,
    ):
        ended = await service.run(url=secure.url("/x"), headers={"Authorization": "Bearer hush"}, **promise)
        assert ended["state"] == state, ended["verdict"]
        assert all(request.header("Authorization") is None for request in plain.requests)
        if not promise and not rules:
            assert "give a checksum" in ended["verdict"]["title"]


async def test_who_joins_without_a_promise_gets_nothing_by_it(tmp_path: Path) -> None:
    """Another project's digest vouches for nobody else's bytes."""
    authorities, opened = Authorities(), asyncio.Event()
    behaviour = behaviours.gated(behaviours.serve(BODY), opened)
    async with (
        Origin({"/x": behaviour}) as plain,
        Origin({"/x": behaviours.redirect(plain.url("/x"))}, tls=authorities.good("127.0.0.1")) as secure,
        Running(tmp_path, plain, secure, tls=authorities.trusted(tmp_path)) as service,
    ):
        first = await service.submit(url=secure.url("/x"), checksum=PROMISE)
        await plain.wait_requests(1)
        second = await service.submit(url=secure.url("/x"))
        opened.set()
        assert (await service.ended(first["id"]))["state"] == "succeeded"
        ended = await service.ended(second["id"])
        assert (ended["state"], ended["verdict"]["code"]) == ("refused", "bad-redirect")
        assert len(plain.requests) == 1
