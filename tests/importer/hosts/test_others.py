"""What a host hears of imports that others have taken in: it begins them without looking at the records."""

import asyncio
from pathlib import Path

import msgspec

from fetcher.engine.values import Signal
from fetcher.guards.request.url import CheckedUrls
from fetcher.importer.tickets import ticket_of
from fetcher.index import Index
from fetcher.index.values import Secrets
from fetcher.model import Submission
from tests.images import raw
from tests.index.conftest import make
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.service import Running


async def test_what_was_told_of_an_import_is_all_that_its_beginning_needs(tmp_path: Path) -> None:
    """The engine of this host finds nothing that waits, whatever it is asked; the import is pulled."""
    async with (
        Origin({"/x": behaviours.serve(raw(1000))}) as origin,
        Running(tmp_path, origin) as service,
        Index(service.data / "index.sqlite") as other,
    ):
        services = service.service.app.state.services
        others = services.importer.others
        looking = asyncio.create_task(others._look_at_submissions())
        new = submitted(origin.url("/x"))
        waiting = ticket_of(new.record, new.secrets, CheckedUrls(services.current.settings)).announcement
        await other.imports.submit(new, max_queued=10)
        others.on_signal(Signal(what="waiting", waiting=(waiting,)))
        others.on_signal(Signal(what="import", id=new.record.id, state="queued"))
        assert (await service.ended(new.record.id))["state"] == "succeeded"
        assert not others._announced
        looking.cancel()
        await asyncio.wait({looking})


async def test_what_was_told_of_another_hosts_import_is_not_kept(tmp_path: Path) -> None:
    """News of its own say that another host is woken for it, or has begun it: nothing of it is left here."""
    async with Origin({}) as origin, Running(tmp_path, origin) as service:
        services = service.service.app.state.services
        others = services.importer.others
        for number, news in enumerate(
            [{"state": "queued", "wakes": False}, {"state": "running"}, {"state": "cancelled"}]
        ):
            new = submitted(origin.url(f"/{number}"))
            waiting = ticket_of(new.record, new.secrets, CheckedUrls(services.current.settings)).announcement
            others.on_signal(Signal(what="waiting", waiting=(waiting,)))
            assert others._announced
            others.on_signal(Signal(what="import", id=new.record.id, **news))
            assert not others._announced
            assert not others._queued


def submitted(url: str):
    """A submission of a URL."""
    new = make()
    record = msgspec.structs.replace(
        new.record, submission=Submission(url=url, max_bytes=10_000, disk_format="raw")
    )
    return msgspec.structs.replace(new, record=record, secrets=Secrets(url=url), shown_url=url)
