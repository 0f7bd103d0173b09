"""Strict JSON: nothing that two parsers could read in two ways."""

from pathlib import Path

import pytest

from fetcher.api.body import convert, parse
from fetcher.api.submit.submit_body import SubmitBody
from fetcher.errors import InvalidRequest
from tests.images import qcow2
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.service import Running

BAD = {
    "not json": b"{",
    "duplicate": b'{"url": "a", "url": "b"}',
    "nested duplicate": b'{"url": "a", "properties": {"x": "1", "x": "2"}}',
    "nan": b'{"url": "a", "max_bytes": NaN}',
    "infinity": b'{"url": "a", "max_bytes": 1e309}',
    "bad utf-8": b'{"url": "\xff"}',
    "lone surrogate": b'{"url": "\\ud800"}',
    "nul": b'{"url": "a", "name": "x\\u0000y"}',
    "nul in a name": b'{"url": "a", "properties": {"x\\u0000": "1"}}',
    "nul in a list": b'{"url": "a", "tags": ["\\u0000"]}',
    "deep": b'{"url": ' + b"[" * 100_000,
    "unknown": b'{"url": "a", "ulr": "b"}',
    "missing": b"{}",
    "wrong type": b'{"url": 7}',
    "text for number": b'{"url": "a", "max_bytes": "10"}',
    "zero cap": b'{"url": "a", "max_bytes": 0}',
    "negative cap": b'{"url": "a", "max_bytes": -1}',
    "huge cap": b'{"url": "a", "max_bytes": 9223372036854775808}',
    "endless number": b'{"url": "a", "max_bytes": ' + b"9" * 5000 + b"}",
    "long name": b'{"url": "a", "name": "' + b"n" * 256 + b'"}',
    "null url": b'{"url": null}',
    "list": b'["url"]',
    "format": b'{"url": "a", "disk_format": "exe"}',
}


@pytest.mark.parametrize("body", BAD.values(), ids=BAD.keys())
def test_what_is_not_a_submission_is_refused(body: bytes) -> None:
    """Every mistake ends in one typed refusal that says what is wrong."""
    with pytest.raises(InvalidRequest) as caught:
        convert(parse(body), SubmitBody)
    assert caught.value.reason


def test_the_field_is_named() -> None:
    """A person who mistyped one of ten fields is told which."""
    with pytest.raises(InvalidRequest) as caught:
        convert(parse(b'{"url": "a", "min_disk": "x"}'), SubmitBody)
    assert caught.value.field == "min_disk"


async def test_a_cap_above_the_services_own_is_told(tmp_path: Path) -> None:
    """Nobody believes that more is allowed than is: the answer tells the cap that holds."""
    async with Origin({"/d": behaviours.serve(qcow2())}) as origin, Running(tmp_path, origin) as service:
        cap = service.service.settings.size.max_bytes
        for asked, holds in ((cap + 1, cap), (cap, cap), (cap - 1, cap - 1)):
            body = {"url": origin.url("/d"), "max_bytes": asked}
            status, answer, _ = await service.call("POST", "/imports", json=body)
            assert (status, answer["submission"]["max_bytes"]) == (202, holds)
