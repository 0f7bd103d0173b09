"""An index or a store that is away for a moment ends no import, whatever the moment."""

import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from fetcher.errors import Shortage
from fetcher.index.sqlite.imports.pulls import PullRecords
from fetcher.index.sqlite.imports.records import ImportRecords
from fetcher.store.filesystem.store import Store
from tests.images import raw
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.service import Running

BODY = raw(2_000_000)
TIMES = 2
MOMENTS = [
    (PullRecords, "recall"),
    (ImportRecords, "announce"),
    (ImportRecords, "activate"),
    (Store, "commit"),
]


def away(verb: Callable[..., Awaitable[Any]], failures: list[str]) -> Callable[..., Awaitable[Any]]:
    """Have a verb fail twice, then do what it does."""

    async def tried(*args: Any, **kwargs: Any) -> Any:
        if len(failures) < TIMES:
            failures.append(verb.__name__)
            raise Shortage(reason="away")
        return await verb(*args, **kwargs)

    return tried


@pytest.mark.parametrize(("owner", "name"), MOMENTS)
async def test_a_moment_without_the_index_ends_no_import(
    owner: type, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is asked of it while a pull runs or is committed is asked again."""
    failures: list[str] = []
    reuse = {"revalidate": "project"}
    async with (
        Origin({"/x": behaviours.serve(BODY)}) as origin,
        Running(tmp_path, origin, reuse=reuse) as service,
    ):
        monkeypatch.setattr(owner, name, away(getattr(owner, name), failures))
        ended = await service.run(url=origin.url("/x"))
        assert (ended["state"], ended["digests"]["sha256"]) == (
            "succeeded",
            hashlib.sha256(BODY).hexdigest(),
        ), ended
        assert len(failures) == TIMES
        async with service.client.get(f"/v2/images/{ended['image_id']}/file") as answer:
            assert await answer.read() == BODY


async def test_a_moment_without_the_store_costs_no_byte_that_was_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next process takes up what is there as soon as it can be read, and asks for the rest alone."""
    etag, failures = '"one"', list[str]()
    first = behaviours.stall(BODY, 1_000_000, fields={"ETag": etag})
    routes = {"/x": behaviours.in_turn(first, behaviours.serve(BODY, etag=etag))}
    async with Origin(routes) as origin:
        async with Running(tmp_path, origin) as service:
            made = await service.submit(url=origin.url("/x"))
            await origin.wait_requests(1)
            async for _name, seen in service.events(made["id"]):
                if seen["progress"]["received_bytes"] >= 1_000_000:
                    break
        monkeypatch.setattr(Store, "read_back", away(Store.read_back, failures))
        async with Running(tmp_path, origin) as service:
            ended = await service.ended(made["id"])
            assert ended["digests"]["sha256"] == hashlib.sha256(BODY).hexdigest()
        assert len(failures) == TIMES
        asked = origin.requests[1].header("Range")
        assert asked is not None
        assert int(asked.removeprefix("bytes=").removesuffix("-")) > 0
