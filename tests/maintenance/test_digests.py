"""Digests that come later: computed in the background, of whole bytes alone, and shown from then on."""

import asyncio
from pathlib import Path

import pytest

from fetcher.errors import BytesDamaged
from fetcher.importer.stored_blobs import add_digests
from fetcher.maintenance.digests import LateDigests
from tests.api.image_v2.cloud import DISK, Cloud
from tests.api.streams.test_published import PUBLISH, listed, make_public
from tests.exporter.receiver import Receiver
from tests.exporter.test_put import QUICK, ended, push
from tests.importer.test_addresses import BODIES, ROUTES, SHA512, fetch, sha256, sha512
from tests.lab.origin import Origin
from tests.maintenance.test_service import rot
from tests.service import PATIENT_SECONDS, Running

BODY = BODIES["b"]


async def at_once(_seconds: float) -> None:
    """Wait for nothing: a rate is no matter here."""


def late(service: Running) -> LateDigests:
    return LateDigests(service.service.app.state.services.importer.context, at_once)


async def test_what_the_operator_adds_is_computed_of_older_images(tmp_path: Path) -> None:
    """Once: a second look finds nothing to do; then bytes are known by it, too."""
    async with Origin(ROUTES) as origin, Running(tmp_path, origin, **SHA512) as service:
        image_id = (await service.run(url=origin.url("/b")))["image_id"]
        await service.run(url=origin.url("/c"))
        looking = late(service)
        assert await looking.compute_configured() == 0
        service.write_config(checksum={"computed": ["md5", "sha256", "sha512"]})
        service.service.reload()
        assert await looking.compute_configured() == 2
        assert await looking.compute_configured() == 0
        index = service.service.app.state.services.index
        known = await index.maintenance.digests(sha512(BODY)) or {}
        assert known.keys() == {"md5", "sha256", "sha512"}
        assert known["sha256"] == sha256(BODY)
        assert "sha-256" in (await fetch(service, image_id))[2]


async def test_damaged_bytes_get_no_digest(tmp_path: Path) -> None:
    """Reading them shows the damage, which is written down as by a scrub."""
    async with Origin(ROUTES) as origin, Running(tmp_path, origin, **SHA512) as service:
        await service.run(url=origin.url("/b"))
        services = service.service.app.state.services
        rot(services.store.blob_path(sha512(BODY)))
        for _ in range(2):
            with pytest.raises(BytesDamaged):
                await add_digests(services.importer.context, sha512(BODY), ["sha256"], 1e12)
        assert [one.fault for one in await services.index.maintenance.faulty()] == ["corrupt"]
        assert "sha256" not in (await services.index.maintenance.digests(sha512(BODY)) or {})


async def test_what_is_wanted_of_bytes_that_are_gone_is_let_go(tmp_path: Path) -> None:
    """Whoever asked asks again if it is still needed."""
    async with Origin(ROUTES) as origin, Running(tmp_path, origin, **SHA512) as service:
        context = service.service.app.state.services.importer.context
        await service.run(url=origin.url("/b"))
        for address in ("0" * 128, sha512(BODY), sha512(BODY)):
            context.wanted.ask(address, "sha256")
        async with asyncio.timeout(PATIENT_SECONDS):
            while "sha256" not in (known := await context.index.maintenance.digests(sha512(BODY)) or {}):
                await asyncio.sleep(0.02)
        assert known["sha256"] == sha256(BODY)
        assert context.wanted.take() is None


async def test_a_receiver_that_needs_the_digest_gets_it(tmp_path: Path) -> None:
    """An export of bytes without it reads them once more first, and tells it then."""
    async with Origin(ROUTES) as origin, Receiver() as receiver:
        places = [{"cidr": "127.0.0.1/32", "ports": [origin.port, receiver.port]}]
        rules = {"receivers": [receiver.host], **QUICK}
        async with Running(tmp_path, origin, exports=rules, address={"allow": places}, **SHA512) as service:
            image_id = (await service.run(url=origin.url("/b")))["image_id"]
            export = await push(service, image_id, receiver.url("/disk"))
            done = await ended(service, export["id"])
            assert (done["state"], done["digests"]) == ("succeeded", {"sha256": sha256(BODY)})
            assert receiver.taken == {"/disk": BODY}
            assert "Repr-Digest: sha-256=:" in receiver.heads[0]


async def test_a_list_of_images_waits_for_the_digest_that_its_readers_know(tmp_path: Path) -> None:
    """An image without it is asked for by the list itself, and is in the list once it is there."""
    checksum = SHA512["checksum"]
    async with Cloud(tmp_path, publish=PUBLISH, checksum=checksum) as cloud:
        image = await make_public(cloud)
        async with asyncio.timeout(PATIENT_SECONDS):
            while not (products := await listed(cloud)):
                await asyncio.sleep(0.02)
        [[version]] = [product["versions"].values() for product in products.values()]
        [item] = version["items"].values()
        assert item["sha256"] == sha256(DISK)
        assert image["id"] in item["path"]
