"""The verbs of `fetcher images`, short ids, and a server behind TLS."""

import hashlib
import json
import ssl
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from fetcher.cli.exits import Exit
from tests.cli.conftest import Fetcher
from tests.images import qcow2
from tests.lab import behaviours
from tests.lab.certificates import Authorities
from tests.lab.origin import Behaviour, Origin
from tests.service import Running

BODY = qcow2(clusters=3)
IDS = ("aaaa1111-0000-4000-8000-000000000001", "aaaa2222-0000-4000-8000-000000000002")


def made_up(body: bytes, digest: str, **data: Behaviour) -> dict[str, Behaviour]:
    """An Image API of one image, whose bytes come as the test wants them."""
    image: dict[str, Any] = {"id": IDS[0], "name": "x", "status": "active", "size": len(body)}
    image |= {"os_hash_algo": "sha512", "os_hash_value": digest}
    place = f"/v2/images/{IDS[0]}"
    return {place: behaviours.serve(json.dumps(image).encode()), f"{place}/file": data["data"]}


def sha512(body: bytes) -> str:
    return hashlib.sha512(body).hexdigest()


async def test_an_image_is_renamed_tagged_and_deleted(fetcher: Fetcher, tmp_path: Path) -> None:
    """Each verb says what it did, takes the beginning of an id, and changes what the server has."""
    async with Origin({"/d": behaviours.serve(BODY)}) as origin, Running(tmp_path, origin) as service:
        there = ("--server", service.base)
        image_id = (await service.run(disk_format="qcow2", url=origin.url("/d"), tags=["old"]))["image_id"]
        renamed = await fetcher("images", "rename", image_id[:8], "new name", *there)
        assert (renamed.code, renamed.out) == (Exit.OK, "")
        assert "new name" in renamed.err
        tagged = await fetcher(
            *("images", "tag", image_id[:8], "--add", "a/b", "--add", "c", "--remove", "old", *there),
            *("--remove", "never", "--json"),
        )
        assert sorted(tagged.json["tags"]) == ["a/b", "c"]
        assert (await service.get(f"/v2/images/{image_id}"))["name"] == "new name"
        assert (await fetcher("images", "tag", image_id, *there)).code == Exit.USAGE
        half = await fetcher("images", "delete", image_id[:8], str(uuid4()), *there)
        assert half.code == Exit.UNKNOWN
        assert (await service.get(f"/v2/images/{image_id}"))["status"] == "active"
        deleted = await fetcher("images", "delete", image_id[:8], *there)
        assert deleted.code == Exit.OK
        assert image_id in deleted.err
        assert (await service.get("/v2/images"))["images"] == []
        assert (await fetcher("images", "delete", *there)).code == Exit.USAGE


async def test_a_protected_image_is_not_deleted_and_it_says_why(fetcher: Fetcher, tmp_path: Path) -> None:
    """What the Image API refuses is told in its words."""
    async with Origin({"/d": behaviours.serve(BODY)}) as origin, Running(tmp_path, origin) as service:
        image_id = (await service.run(disk_format="qcow2", url=origin.url("/d")))["image_id"]
        change = [{"op": "replace", "path": "/protected", "value": True}]
        await service.call(
            *("PATCH", f"/v2/images/{image_id}"),
            data=json.dumps(change),
            headers={"Content-Type": "application/openstack-images-v2.1-json-patch"},
        )
        refused = await fetcher("images", "delete", image_id, "--server", service.base)
        assert refused.code == Exit.DENIED
        assert "protected" in refused.err


async def test_an_image_is_saved(fetcher: Fetcher, tmp_path: Path) -> None:
    """The file has the bytes, nothing is beside it, and a file that is there already stays."""
    file = tmp_path / "out" / "disk.qcow2"
    file.parent.mkdir()
    async with Origin({"/d": behaviours.serve(BODY)}) as origin, Running(tmp_path, origin) as service:
        image_id = (await service.run(disk_format="qcow2", url=origin.url("/d")))["image_id"]
        save = ("images", "save", image_id[:6], "-o", file, "--server", service.base)
        saved = await fetcher(*save)
        assert (saved.code, saved.out) == (Exit.OK, f"{file}\n")
        assert "(verified)" in saved.err
        assert file.read_bytes() == BODY
        assert list(file.parent.iterdir()) == [file]
        again = await fetcher(*save)
        assert again.code == Exit.USAGE
        assert "already" in again.err
        file.unlink()
        part = file.with_name(f"{file.name}.{image_id}.part")
        part.write_bytes(BODY[:70_000])
        as_json = await fetcher(*save, "--json")
        assert as_json.json == {
            "image": image_id,
            "file": str(file),
            "bytes": len(BODY),
            "sha512": sha512(BODY),
            "verified": True,
        }
        assert file.read_bytes() == BODY
        assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize("ranges", [True, False])
async def test_a_save_goes_on_where_it_was_cut_off(fetcher: Fetcher, ranges: bool, tmp_path: Path) -> None:
    """By a range; from the first byte where the server knows none. Until then, no file has the name."""
    file = tmp_path / "disk"
    data = behaviours.in_turn(behaviours.cut(BODY, 1000), behaviours.serve(BODY, ranges=ranges))
    async with Origin(made_up(BODY, sha512(BODY), data=data)) as origin:
        save = ("images", "save", IDS[0], "-o", file, "--server", origin.url(""))
        first = await fetcher(*save)
        assert first.code == Exit.UNREACHABLE
        assert "run the command again" in first.err
        assert [path.name for path in tmp_path.iterdir()] == [f"disk.{IDS[0]}.part"]
        second = await fetcher(*save)
        assert second.code == Exit.OK
        assert origin.requests[-1].header("range") == "bytes=1000-"
    assert file.read_bytes() == BODY
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("begun", [0, 1000, len(BODY), len(BODY) + 1])
async def test_bytes_with_another_digest_are_removed(fetcher: Fetcher, begun: int, tmp_path: Path) -> None:
    """Nothing is left that could be taken for the image, whatever was there before."""
    part = tmp_path / f"disk.{IDS[0]}.part"
    part.write_bytes(b"x" * begun)
    wrong = made_up(BODY, sha512(b"other"), data=behaviours.serve(BODY))
    async with Origin(wrong) as origin:
        file = tmp_path / "disk"
        saved = await fetcher("images", "save", IDS[0], "-o", file, "--json", "--server", origin.url(""))
    assert saved.code == Exit.DAMAGED
    assert saved.json["error"]["code"] == "digest-mismatch"
    assert list(tmp_path.iterdir()) == []


async def test_a_beginning_of_several_ids_names_them(fetcher: Fetcher) -> None:
    """Nobody deletes the wrong image: more of the id has to be given; too short a one is no beginning."""
    images = json.dumps({"images": [{"id": id_} for id_ in IDS]}).encode()
    async with Origin({"/v2/images": behaviours.serve(images)}) as origin:
        there = ("--json", "--server", origin.url(""))
        result = await fetcher("images", "delete", "aaaa", *there)
        assert result.code == Exit.USAGE
        assert result.json["error"]["code"] == "id-ambiguous"
        assert result.json["error"]["candidates"] == list(IDS)
        assert IDS[1] in result.json["error"]["detail"]
        for text in ("aaa", "aaaa3"):
            none = await fetcher("images", "delete", text, *there)
            assert (none.code, none.json["error"]["code"]) == (Exit.UNKNOWN, "id-unknown")
        assert {request.method for request in origin.requests} == {"GET"}


async def test_show_and_cancel_take_the_beginning_of_an_id(fetcher: Fetcher, tmp_path: Path) -> None:
    """Of imports and of images."""
    async with Origin({"/d": behaviours.serve(BODY)}) as origin, Running(tmp_path, origin) as service:
        ended = await service.run(disk_format="qcow2", url=origin.url("/d"))
        for id_ in (ended["id"], ended["image_id"]):
            shown = await fetcher("show", id_[:10], "--json", "--server", service.base)
            assert shown.json["id"] == id_
        cancelled = await fetcher("cancel", ended["id"][:10], "--json", "--server", service.base)
        assert cancelled.code == Exit.USAGE
        assert "already succeeded" in cancelled.json["error"]["detail"]


@pytest.mark.parametrize("text", ["nope", "40401c41-5d9f-41b5-a292-820668043a9b"])
async def test_show_says_that_there_is_no_such_id(fetcher: Fetcher, text: str, tmp_path: Path) -> None:
    """With the documented exit code, and where to look."""
    async with Running(tmp_path) as service:
        shown = await fetcher("show", text, "--server", service.base)
    assert (shown.code, shown.out) == (Exit.UNKNOWN, "")
    assert f"no import or image with the ID {text}" in " ".join(shown.err.split())
    assert "fetcher imports" in shown.err


async def test_a_server_s_certificate_is_checked_against_the_given_authorities(
    fetcher: Fetcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A certificate that nobody vouches for is told as one, and not as a server that is down."""
    authorities = Authorities()
    trusted = str(authorities.trusted(tmp_path)["ca_file"])
    empty = json.dumps({"images": []}).encode()
    routes = {"/v2/images": behaviours.serve(empty)}
    async with Origin(routes, tls=authorities.good("127.0.0.1")) as origin:
        images = ("images", "--server", origin.url(""))
        untrusted = await fetcher(*images)
        assert untrusted.code == Exit.UNREACHABLE
        assert "certificate is not trusted" in " ".join(untrusted.err.split())
        assert "--cacert" in untrusted.err
        assert "No server answers" not in untrusted.err
        assert (await fetcher(*images, "--cacert", trusted)).code == Exit.OK
        for text in ("missing", str(tmp_path)):
            assert (await fetcher(*images, "--cacert", text)).code == Exit.USAGE
        monkeypatch.setenv("FETCHER_CACERT", trusted)
        assert (await fetcher(*images)).code == Exit.OK
    async with Origin(routes, tls=authorities.old(ssl.TLSVersion.TLSv1_1)) as outdated:
        wrong = await fetcher("images", "--server", outdated.url(""))
        assert wrong.code == Exit.UNREACHABLE
        assert "No TLS" in wrong.err
