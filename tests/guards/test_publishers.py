"""Publishers who have to sign: without their signature nothing of theirs is imported, by whatever way."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from fetcher.config import BadConfig, load_settings
from tests.catalogues.test_catalogues import NEW, STREAMS, signed, source
from tests.importer.stages.test_signed_sums import BODY, FRIEND, SHA256, STRANGER, SUMS, asked
from tests.lab import behaviours
from tests.lab.behaviours import serve
from tests.lab.origin import Origin
from tests.service import Running

ROUTES = {
    "/d/disk.img": serve(BODY),
    "/d/SHA256SUMS": serve(SUMS),
    "/d/SHA256SUMS.gpg": serve(FRIEND.sign(SUMS)),
    "/d/stranger.gpg": serve(STRANGER.sign(SUMS)),
}


def ring(folder: Path, name: str, *publishers: Any) -> str:
    """Make a file with certificates."""
    file = folder / f"{name}.pgp"
    file.write_bytes(b"".join(bytes(publisher.certificate) for publisher in publishers))
    return str(file)


def rules(origin: Origin, folder: Path, **more: Any) -> dict[str, Any]:
    """Require the signature of the lab's publisher for all that this origin serves."""
    one = {"name": "lab", "hosts": [origin.host], "keys": [ring(folder, "friend", FRIEND)]} | more
    return {"publisher": {"rules": [one]}}


async def test_a_signed_checksum_file_is_what_a_publisher_gives(tmp_path: Path) -> None:
    """With the pinned signature the image comes, and its story says that the rule was kept to."""
    async with Origin(ROUTES) as origin, Running(tmp_path, origin, **rules(origin, tmp_path)) as service:
        ended = await service.run(**asked(origin))
        assert (ended["state"], ended["verified_by"]) == ("succeeded", "signed-sums")
        story = await service.get(f"/imports/{ended['id']}/provenance")
        assert story["publisher"] == {"name": "lab", "required": True, "is_signed": True}
        limits = (await service.get("/limits"))["limits"]
        assert limits["signed_publishers"]["value"] == [origin.host]


async def test_what_nobody_signed_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    """Neither a bare URL nor a digest of the submitter's own stands in for the publisher."""
    async with Origin(ROUTES) as origin, Running(tmp_path, origin, **rules(origin, tmp_path)) as service:
        url = origin.url("/d/disk.img")
        bodies: list[dict[str, Any]] = [
            {"url": url},
            {"url": url, "checksum": f"sha256:{SHA256}"},
            {"url": url, "checksum": f"sha256:{SHA256}", "checksum_url": origin.url("/d/SHA256SUMS")},
            {"url": "https://elsewhere.example/x", "mirrors": [url]},
        ]
        for body in bodies:
            status, problem, _headers = await service.call("POST", "/imports", json=body)
            assert (status, problem["code"], problem["publisher"]) == (400, "signature-required", "lab"), body
        assert origin.requests == []


@pytest.mark.parametrize("signature", [None, "/d/stranger.gpg"], ids=["unsigned", "by-a-stranger"])
async def test_another_signature_does_not_count(tmp_path: Path, signature: str | None) -> None:
    """The keys of the rule are the only ones, also where `sums.keys` trusts others."""
    more = rules(origin := Origin(ROUTES), tmp_path)
    more["sums"] = {"keys": [ring(tmp_path, "all", STRANGER)]}
    async with origin, Running(tmp_path, origin, **more) as service:
        ended = await service.run(**asked(origin, signature))
        assert (ended["state"], ended["verdict"]["code"]) == ("refused", "checksum-file-unusable")
        assert service.traces() == []


async def test_a_detour_does_not_lead_around_the_rule(tmp_path: Path) -> None:
    """A URL elsewhere that redirects to the publisher is refused when it gets there."""
    async with Origin(ROUTES, host="127.0.0.2") as origin:
        detour = {"/x": behaviours.redirect(origin.url("/d/disk.img"))}
        async with (
            Origin(detour) as other,
            Running(tmp_path, origin, other, **rules(origin, tmp_path)) as service,
        ):
            ended = await service.run(url=other.url("/x"), checksum=f"sha256:{SHA256}")
            assert (ended["state"], ended["verdict"]["code"]) == ("refused", "signature-required")
            assert service.traces() == []


async def test_a_signed_catalogue_vouches_for_its_images(tmp_path: Path) -> None:
    """By name from a signed catalogue such an image comes; from an unsigned one it does not."""
    async with Origin(STREAMS | signed(FRIEND)) as origin:
        key = ring(tmp_path, "friend", FRIEND)
        good = source(origin, url=origin.url("/r/streams/v1/index.sjson"), keys=[key])
        async with Running(tmp_path, origin, **rules(origin, tmp_path), **good) as service:
            made = await service.submit(catalogue="ubuntu:26.04")
            ended = await service.ended(made["id"])
            assert (ended["state"], ended["verified_by"]) == ("succeeded", "signed-catalogue")
            assert ended["digests"]["sha256"] == hashlib.sha256(NEW).hexdigest()
    async with Origin(STREAMS) as origin:
        folder = tmp_path / "other"
        folder.mkdir()
        async with Running(folder, origin, **rules(origin, folder), **source(origin)) as service:
            status, problem, _headers = await service.call(
                "POST", "/imports", json={"catalogue": "ubuntu:26.04"}
            )
            assert (status, problem["code"]) == (400, "signature-required")


async def test_a_rule_may_only_pin_keys(tmp_path: Path) -> None:
    """Where no signature is required, unsigned images come, and the story says that nobody vouched."""
    async with Origin(ROUTES) as origin:
        more = rules(origin, tmp_path, required=False)
        async with Running(tmp_path, origin, **more) as service:
            ended = await service.run(url=origin.url("/d/disk.img"))
            assert ended["state"] == "succeeded"
            story = await service.get(f"/imports/{ended['id']}/provenance")
            assert story["publisher"] == {"name": "lab", "required": False, "is_signed": False}


def test_a_rule_whose_keys_are_missing_is_a_mistake() -> None:
    """The check of the configuration names the file."""
    one = {"name": "lab", "hosts": ["example.org"], "keys": ["/none.pgp"]}
    with pytest.raises(BadConfig) as caught:
        load_settings(None, {"publisher": {"rules": [one]}})
    assert "publisher.lab.keys" in str(caught.value)
