"""The audit trail: one chain of lines, whoever writes them, whose oldest go without breaking it."""

import asyncio
from datetime import timedelta

from fetcher.index.protocol import Index
from fetcher.index.values import AuditHead
from tests.index.conftest import START, make

LATER = START + timedelta(days=1)


async def test_writers_of_several_processes_write_one_chain(index: Index, other: Index) -> None:
    """Lines that are written at once stand one behind the other, and a head of before is found again."""
    assert (await index.audit.head()).number == 0
    await index.imports.submit(make(), max_queued=99)
    before = await index.audit.head()
    jobs = [(index, other)[number % 2].imports.submit(make(), max_queued=99) for number in range(12)]
    await asyncio.gather(*jobs)
    report = await other.audit.verify(before)
    assert (report.lines, report.unchained, report.faults) == (13, 0, [])
    assert report.head == await index.audit.head()
    assert report.head.number == 13


async def test_a_head_of_another_trail_is_not_found(index: Index) -> None:
    """Whoever has written the trail anew is betrayed by the head that was exported before."""
    await index.imports.submit(make(), max_queued=99)
    forged = AuditHead(number=1, digest="0" * 64)
    assert len((await index.audit.verify(forged)).faults) == 1


async def test_a_head_that_nothing_is_left_of_proves_nothing(index: Index) -> None:
    """Whoever removes all lines, and has the trail begin after the head, is found out."""
    for number in range(4):
        await index.imports.submit(make(number=number), max_queued=99)
        if number == 1:
            exported = await index.audit.head()
    moments = {"keys_before": START, "retired_before": START}
    await index.maintenance.forget(audit_before=LATER, most=10, **moments)
    [fault] = (await index.audit.verify(exported)).faults
    assert "older than the oldest line" in fault


async def test_old_lines_go_and_the_chain_stays_whole(index: Index) -> None:
    """What goes by its age leaves behind what the next line is chained to; also where nothing is left."""
    for number in range(4):
        await index.imports.submit(make(number=number), max_queued=99)
    first = await index.audit.head()
    moments = {"keys_before": START, "retired_before": START}
    cut = START + timedelta(seconds=2)
    assert await index.maintenance.forget(audit_before=cut, most=10, **moments) == 2
    assert (await index.audit.verify(first)).faults == []
    assert await index.maintenance.forget(audit_before=LATER, most=10, **moments) == 2
    assert await index.audit.head() == first
    await index.imports.submit(make(), max_queued=99)
    report = await index.audit.verify(first)
    assert (report.lines, report.faults, report.head.number) == (1, [], 5)
