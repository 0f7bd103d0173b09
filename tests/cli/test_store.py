"""`fetcher store`: what is wrong is found, repaired or removed; a backup is a store of its own."""

import asyncio
import hashlib
from pathlib import Path

import pytest
import sqlite_utils

from fetcher.cli.exits import Exit
from fetcher.maintenance.fsck import LOST
from fetcher.store.filesystem import copies
from tests.cli.conftest import Fetcher
from tests.images import raw
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.maintenance.test_service import admin, rot
from tests.service import Running
from tests.test_crash import agree

BODIES = [raw(200_000, seed=seed) + bytes(100_000) for seed in range(4)]
NAMES = [hashlib.sha256(body).hexdigest() for body in BODIES]
ROUTES = {f"/{number}": behaviours.serve(body) for number, body in enumerate(BODIES)}


async def fill(service: Running, origin: Origin) -> list[str]:
    """Import all bodies; the ids of the images come back."""
    return [(await service.run(url=origin.url(path)))["image_id"] for path in ROUTES]


def blob(folder: Path, name: str) -> Path:
    return folder / "blobs" / name[:2] / name


async def test_check_finds_each_kind_of_damage(fetcher: Fetcher, tmp_path: Path) -> None:
    """Missing, corrupt, unknown, left over, miscounted: each by its name; a whole store is said to be one."""
    async with Origin(ROUTES) as origin, Running(tmp_path, origin) as service:
        await fill(service, origin)
        whole = await fetcher("store", "check", "--config", service.config, "--json")  # Beside the server.
        assert (whole.code, whole.json) == (Exit.OK, {"blobs": 4, "findings": []})
    blob(service.data, NAMES[0]).unlink()
    rot(blob(service.data, NAMES[1]))
    (service.data / "blobs" / "00" / ("0" * 64)).write_bytes(b"who am I")
    (service.data / "staging" / "nobody.1").write_bytes(b"half")
    db = sqlite_utils.Database(service.data / "index.sqlite")
    with db.atomic():
        db.execute("UPDATE usage SET bytes = bytes + 1")
    db.conn.close()
    damaged = await fetcher("store", "check", "--config", service.config, "--json")
    assert damaged.code == Exit.DAMAGED
    assert {(finding["kind"], finding["name"]) for finding in damaged.json["findings"]} == {
        ("usage-wrong", "default"),
        ("file-missing", NAMES[0]),
        ("file-corrupt", NAMES[1]),
        ("file-unknown", f"blobs/00/{'0' * 64}"),
        ("staging-leftover", "staging/nobody.1"),
    }
    quick = await fetcher("store", "check", "--quick", "--config", service.config)
    assert NAMES[0] in quick.out
    assert NAMES[1] not in quick.out


async def test_repair_brings_back_what_the_sources_still_have(fetcher: Fetcher, tmp_path: Path) -> None:
    """Lost bytes are pulled again; those whose source is gone are named, and the exit code says so."""
    async with Origin(ROUTES) as origin:
        async with Running(tmp_path, origin) as service:
            await fill(service, origin)
            busy = await fetcher("store", "repair", "--config", service.config)
            assert busy.code == Exit.BUSY
            assert "in use" in busy.err
        blob(service.data, NAMES[0]).unlink()
        rot(blob(service.data, NAMES[1]))
        origin.routes["/1"] = behaviours.status(404)
        first = await fetcher("store", "repair", "--config", service.config, "--json")
        assert first.code == Exit.DAMAGED
        lost = first.json["lost"]
        counts = {"whole": 2, "missing": 1, "corrupt": 1, "unread": 0, "repaired": 1}
        assert first.json == {**counts, "lost": lost}
        assert list(lost) == [NAMES[1]]
        assert "404" in lost[NAMES[1]]
        origin.routes["/1"] = behaviours.serve(BODIES[1])
        assert (await fetcher("store", "repair", "--config", service.config)).code == Exit.OK
        assert (await fetcher("store", "check", "--config", service.config)).code == Exit.OK
        agree(service.data)


async def test_check_says_what_can_be_done(fetcher: Fetcher, tmp_path: Path) -> None:
    """Bytes with a source are a matter of `repair`; else whose they are, why, and what is left to do."""
    async with Origin(ROUTES) as origin, Running(tmp_path, origin) as service:
        await service.run(url=origin.url("/0"))
        hidden = (await service.run(url=origin.url("/1?sig=hush")))["image_id"]
        for name in NAMES[:2]:
            blob(service.data, name).unlink()
        found = await fetcher("store", "check", "--config", service.config, "--json")
        told = {finding["name"]: finding for finding in found.json["findings"]}
        assert "repair" in told[NAMES[0]]["advice"]
        assert told[NAMES[0]]["why"] == ""
        assert told[NAMES[1]]["advice"] == LOST
        assert "?sig=REDACTED carried a secret, which is not kept" in told[NAMES[1]]["why"]
        assert told[NAMES[1]]["images"] == [hidden]
        people = await fetcher("store", "check", "--config", service.config)
        assert f"file-missing\t{NAMES[1]}" in people.out
        assert hidden in people.err
        assert LOST in people.err


async def test_gc_removes_only_what_nobody_knows(fetcher: Fetcher, tmp_path: Path) -> None:
    """A dry run tells, the real one removes, images stay; beside a server it does nothing."""
    async with Origin(ROUTES) as origin, Running(tmp_path, origin) as service:
        await fill(service, origin)
        unknown = blob(service.data, "f" * 64)
        unknown.write_bytes(b"12345")
        assert (await fetcher("store", "gc", "--config", service.config)).code == Exit.BUSY
    dry = await fetcher("store", "gc", "--dry-run", "--config", service.config, "--json")
    assert dry.json == {"files": [str(unknown)], "bytes": 5, "removed": False}
    assert unknown.exists()
    assert (await fetcher("store", "gc", "--config", service.config)).code == Exit.OK
    agree(service.data)
    assert (await fetcher("store", "gc", "--config", service.config)).out == ""


@pytest.mark.parametrize("is_linked", [True, False], ids=["linked", "copied"])
async def test_a_hot_backup_is_a_store_that_agrees_with_itself(
    fetcher: Fetcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_linked: bool
) -> None:
    """Taken while imports run and images go; it serves what it has after everything else is lost."""
    if not is_linked:

        def refuse(*_arguments: object) -> None:
            raise OSError(18, "Invalid cross-device link")

        monkeypatch.setattr("os.link", refuse)
    slow = {**ROUTES, "/slow": behaviours.stall(raw(500_000), 1000)}
    target = tmp_path / "backups" / "monday"
    target.parent.mkdir()
    async with Origin(slow) as origin:
        async with Running(tmp_path, origin) as service:
            images = await fill(service, origin)
            running = await service.submit(url=origin.url("/slow"))
            await origin.wait_requests(5)
            made = await fetcher("store", "backup", target, "--config", service.config, "--json")
            assert made.code == Exit.OK
            assert made.json["linked" if is_linked else "copied"] == 4
            await service.service.app.state.services.importer.delete_image(images[0], admin())
        again = await fetcher("store", "backup", target, "--config", service.config)
        assert "exists already" in again.err
        agree(target)
        restored = tmp_path / "restored"
        restored.mkdir()
        origin.routes["/slow"] = behaviours.serve(raw(500_000))
        async with Running(restored, origin, store={"folder": str(target)}) as service:
            assert (await service.ended(running["id"]))["state"] == "succeeded"
            store = service.service.app.state.services.store
            for body, name in zip(BODIES, NAMES, strict=True):
                assert b"".join([chunk async for chunk in store.read(name)]) == body
        agree(target)


async def test_what_is_deleted_while_a_backup_is_made_is_left_out(
    fetcher: Fetcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The copied index names a blob that is gone when it is to be linked: its image is left out."""
    async with Origin(ROUTES) as origin, Running(tmp_path, origin) as service:
        await fill(service, origin)
        from fetcher.maintenance import backup

        copy_index = backup.copy_index

        def then_deleted(path: Path, copy: Path) -> list[str]:
            names = copy_index(path, copy)
            blob(service.data, NAMES[2]).unlink()
            return names

        monkeypatch.setattr(backup, "copy_index", then_deleted)
        made = await fetcher("store", "backup", tmp_path / "b", "--config", service.config, "--json")
        assert made.json["left_out"] == [NAMES[2]]
        await asyncio.to_thread(agree, tmp_path / "b")


async def test_a_backup_that_broke_off_has_no_name(fetcher: Fetcher, tmp_path: Path) -> None:
    """A full disk in the middle leaves nothing that looks like a backup; the next try starts over."""
    async with Origin(ROUTES) as origin, Running(tmp_path, origin) as service:
        await fill(service, origin)
        (tmp_path / ".b.partial").mkdir()
        (tmp_path / ".b.partial" / "half").write_text("")
        nowhere = await fetcher("store", "backup", "/dev/full/b", "--config", service.config)
        assert nowhere.code != Exit.OK
        assert (await fetcher("store", "backup", tmp_path / "b", "--config", service.config)).code == Exit.OK
        assert not (tmp_path / ".b.partial").exists()
        assert not (tmp_path / "b" / "half").exists()


def test_a_copy_keeps_the_holes(tmp_path: Path) -> None:
    """A blob on another file system takes no more room than the one here."""
    body = raw(10_000) + bytes(4_000_000)
    (tmp_path / "a").write_bytes(body)
    copies.copy_durably(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == body
    assert (tmp_path / "b").stat().st_blocks * 512 < 1_000_000


async def test_no_store_no_check(fetcher: Fetcher, tmp_path: Path) -> None:
    """A wrong folder is said, and nothing is made there."""
    running = Running(tmp_path)
    running.write_config()
    result = await fetcher("store", "check", "--config", running.config)
    assert result.code == Exit.BUSY
    assert "there is no store" in result.err
    assert not running.data.exists()


async def test_a_backup_goes_on_proving_where_images_came_from(fetcher: Fetcher, tmp_path: Path) -> None:
    """The key goes along, for its owner alone; a copy that lost it is told by the check."""
    async with Origin(ROUTES) as origin, Running(tmp_path, origin) as service:
        image_id = (await fill(service, origin))[0]
        envelope = await service.get(f"/v2/images/{image_id}/attestation")
        backup = await fetcher("store", "backup", tmp_path / "copy", "--config", service.config)
        assert backup.code == Exit.OK, backup.err
    keys = tmp_path / "copy" / "keys"
    assert {file.name: file.stat().st_mode & 0o777 for file in keys.iterdir()} == {
        "signing.pem": 0o600,
        "public.json": 0o600,
    }
    copied = Running(tmp_path / "copied")
    copied.folder.mkdir()
    copied.write_config(store={"folder": str(tmp_path / "copy")})
    whole = await fetcher("store", "check", "--config", copied.config, "--json")
    assert whole.json["findings"] == []
    async with Running(copied.folder, store={"folder": str(tmp_path / "copy")}) as restored:
        assert await restored.get(f"/v2/images/{image_id}/attestation") == envelope
        assert (await restored.get("/keys"))["keys"][0]["key_id"] == envelope["signatures"][0]["keyid"]
    (keys / "public.json").write_text("[]")
    lost = await fetcher("store", "check", "--config", copied.config, "--json")
    assert lost.code == Exit.DAMAGED
    assert ("attestation-invalid", image_id) in {(one["kind"], one["name"]) for one in lost.json["findings"]}
    (keys / "public.json").write_text("nonsense")
    lost = await fetcher("store", "check", "--config", copied.config, "--json")
    assert "key-unusable" in {one["kind"] for one in lost.json["findings"]}
