"""A tar without the mark of its end is an image where a length or a digest shows that all of it came."""

from pathlib import Path

import pytest

from tests.importer.stages.test_unpacking import bytes_of, sha256
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.service import Running
from tests.unpack.making import make_disk, make_tar, pack

DISK = make_disk((1 << 20) + 512)
ENDLESS = make_tar([("disk.img", DISK)])[: 512 + len(DISK)]
HEAD = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize("way", ["length", "digest", "packing"])
async def test_taken_where_it_is_proven_whole(way: str, tmp_path: Path) -> None:
    """By the length that the source keeps, by a promised digest, or by the packing around it."""
    body = pack("gzip", ENDLESS) if way == "packing" else ENDLESS
    behaviour = behaviours.serve(body) if way == "length" else behaviours.answer(HEAD + body)
    promise = f"sha256:{sha256(body)}" if way == "digest" else None
    async with Origin({"/x": behaviour}) as origin, Running(tmp_path, origin) as service:
        ended = await service.run(url=origin.url("/x"), checksum=promise)
        assert ended["state"] == "succeeded", ended["verdict"]
        assert await bytes_of(service, ended) == DISK
        assert ended["stages"]["unpacked"]["facts"]["end_mark"] == "missing"


async def test_refused_where_nothing_proves_it(tmp_path: Path) -> None:
    """The end of a connection is no end of an archive; nor does a digest count that is not met."""
    async with (
        Origin({"/x": behaviours.answer(HEAD + ENDLESS)}) as origin,
        Running(tmp_path, origin) as service,
    ):
        ended = await service.run(url=origin.url("/x"))
        assert (ended["state"], ended["verdict"]["code"]) == ("refused", "unpack-failed")
        assert ended["verdict"]["fields"]["rule"] == "cut-short"
        ended = await service.run(url=origin.url("/x"), checksum=f"sha256:{'0' * 64}")
        assert ended["state"] != "succeeded"
