"""The operator's rules: set, default, require and forbid properties; floors; visibility."""

from pathlib import Path
from typing import Any

import pytest

from fetcher.config import BadConfig, load_settings
from tests.images import qcow2, raw
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.service import Running

RULES: list[dict[str, Any]] = [
    {
        "name": "virtio for qcow2",
        "disk_formats": ["qcow2"],
        "set": {"hw_disk_bus": "virtio"},
        "default": {"hw_vif_model": "virtio"},
        "min_disk_from_virtual_size": True,
        "min_ram": 512,
    },
    {"name": "no secrets", "forbid": ["password"]},
    {"name": "owner", "projects": ["somebody else"], "require": ["owner"]},
    {"name": "not for all", "max_visibility": "shared"},
    {"name": "from there", "sources": ["elsewhere.example"], "set": {"from": "there"}},
]
INJECT = {"inject": {"rules": RULES}}


async def test_rules_set_and_provenance_tells(tmp_path: Path) -> None:
    """What is set, what is a default and what is a floor; a rule for another format does nothing."""
    routes = {"/x": behaviours.serve(qcow2(3 << 30)), "/raw": behaviours.serve(raw(1000))}
    async with Origin(routes) as origin, Running(tmp_path, origin, **INJECT) as service:
        own = {"hw_disk_bus": "ide", "hw_vif_model": "e1000"}
        ended = await service.run(url=origin.url("/x"), disk_format="qcow2", properties=own, min_ram=100)
        assert ended["state"] == "succeeded", ended["verdict"]
        image = await service.get(f"/v2/images/{ended['image_id']}")
        assert (image["hw_disk_bus"], image["hw_vif_model"]) == ("virtio", "e1000")
        assert (image["min_disk"], image["min_ram"]) == (3, 512)
        assert "from" not in image
        told = (await service.get(f"/imports/{ended['id']}/provenance"))["stages"]["injected"]
        assert told["rules"] == ["virtio for qcow2", "no secrets", "not for all"]
        plain = await service.run(url=origin.url("/raw"))
        assert "hw_disk_bus" not in await service.get(f"/v2/images/{plain['image_id']}")


@pytest.mark.parametrize(
    ("fields", "status"),
    [({"properties": {"password": "x"}}, 400), ({"visibility": "community"}, 403)],
)
async def test_rules_refuse_at_once(fields: dict[str, Any], status: int, tmp_path: Path) -> None:
    """A forbidden property or a visibility past the cap never starts an import, and the rule is named."""
    async with (
        Origin({"/x": behaviours.serve(raw(1000))}) as origin,
        Running(tmp_path, origin, **INJECT) as service,
    ):
        sent = {"url": origin.url("/x"), "disk_format": "raw", **fields}
        answered, problem, _headers = await service.call("POST", "/imports", json=sent)
        assert answered == status
        assert "rule" in problem["detail"] or "rule" in problem["title"]
        assert origin.requests == []


async def test_rules_are_discovered(tmp_path: Path) -> None:
    """Whoever asks is told beforehand what will be set, by both APIs."""
    async with Running(tmp_path, **INJECT) as service:
        for path, part in (("/limits", "limits"), ("/v2/info/import", None)):
            document = await service.get(path)
            told = (document[part] if part else document)["inject"]["value"]
            assert [rule["name"] for rule in told] == [rule["name"] for rule in RULES]


def test_rules_are_tables_of_their_own(tmp_path: Path) -> None:
    """`[[inject]]` is how an operator writes them; a mistake in one is named."""
    file = tmp_path / "own.toml"
    file.write_text('[[inject]]\nname = "a"\nset = { x = "y" }\n[[inject]]\nname = "b"\n')
    assert [rule.name for rule in load_settings(file).inject.rules] == ["a", "b"]
    file.write_text('[[inject]]\nname = "a"\nsets = { x = "y" }\n')
    with pytest.raises(BadConfig, match="inject"):
        load_settings(file)
