"""Server-sent events of an import, as an `EventSource` uses them."""

from pathlib import Path

import pytest

from tests.images import HTML, qcow2
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.service import Running


@pytest.mark.parametrize("path", ["/good", "/bad"])
async def test_a_client_that_has_seen_the_end_is_told_to_stop(tmp_path: Path, path: str) -> None:
    """It connects again with the id of the last event; a 204 keeps it from doing so for ever."""
    async with (
        Origin({"/good": behaviours.serve(qcow2()), "/bad": behaviours.serve(HTML)}) as origin,
        Running(tmp_path, origin) as service,
    ):
        ended = await service.run(url=origin.url(path))
        events = f"/imports/{ended['id']}/events"
        async with service.client.get(events) as answer:
            fields = dict(line.split(": ", 1) for line in (await answer.text()).splitlines() if ": " in line)
        assert fields["event"] == "end"
        async with service.client.get(events, headers={"Last-Event-ID": fields["id"]}) as answer:
            assert (answer.status, await answer.read()) == (204, b"")
        # Who missed the end hears it, whatever was seen before.
        async with service.client.get(events, headers={"Last-Event-ID": "1"}) as answer:
            assert answer.status == 200
            assert "event: end" in await answer.text()
