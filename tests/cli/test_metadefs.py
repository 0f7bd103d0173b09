"""`fetcher metadefs load`: definition files, checked as a whole, brought in beside a running server."""

import json
from pathlib import Path
from typing import Any

import pytest

from fetcher.cli.exits import Exit
from tests.cli.conftest import Fetcher
from tests.service import Running

FIRST = {
    "namespace": "OS::Test",
    "display_name": "Test",
    "visibility": "public",
    "resource_type_associations": [{"name": "OS::Glance::Image", "prefix": "hw_"}],
    "properties": {"bus": {"title": "Bus", "type": "string", "default": 1}},
    "tags": [{"name": "a"}],
}
SECOND = {
    "namespace": "OS::Test",
    "display_name": "Other",
    "protected": True,
    "properties": {"bus": {"title": "Bus 2", "type": "string"}, "new": {"title": "N", "type": "integer"}},
    "objects": [{"name": "o", "properties": {"p": {"title": "P", "type": "boolean"}}}],
}


async def shown(service: Running) -> dict[str, Any]:
    return dict(await service.get("/v2/metadefs/namespaces/OS::Test"))


def write(folder: Path, **files: Any) -> Path:
    folder.mkdir(exist_ok=True)
    for name, document in files.items():
        text = document if isinstance(document, str) else json.dumps(document)
        (folder / f"{name}.json").write_text(text)
    return folder


MODES = {
    "skip": ("kept", "Test", "Bus", {"bus"}, {"a"}),
    "merge": ("changed", "Test", "Bus", {"bus", "new"}, {"a"}),
    "update": ("changed", "Other", "Bus 2", {"bus", "new"}, {"a"}),
    "replace": ("changed", "Other", "Bus 2", {"bus", "new"}, set()),
}


@pytest.mark.parametrize("mode", MODES)
async def test_what_is_there_already_is_a_matter_of_the_mode(
    fetcher: Fetcher, mode: str, tmp_path: Path
) -> None:
    """Kept, completed, brought up to date or replaced; the running server shows it at once."""
    done, title, words, properties, tags = MODES[mode]
    async with Running(tmp_path) as service:
        load = ("metadefs", "load", "--json", "--config", service.config)
        first = await fetcher(*load, write(tmp_path / "first", one=FIRST))
        assert (first.code, first.json["namespaces"][0]["done"]) == (Exit.OK, "added")
        assert (await shown(service))["owner"] == "admin"
        second = await fetcher(*load, "--mode", mode, write(tmp_path / "second", one=SECOND) / "one.json")
        assert (second.code, second.json["namespaces"][0]["done"]) == (Exit.OK, done)
        found = await shown(service)
        assert (found["display_name"], found["properties"]["bus"]["title"]) == (title, words)
        assert set(found["properties"]) == properties
        assert {tag["name"] for tag in found.get("tags", ())} == tags
        if mode != "replace":
            again = await fetcher(*load, "--mode", mode, tmp_path / "second")
            assert again.json["namespaces"][0]["done"] == "kept"


async def test_it_makes_the_store_where_there_is_none(fetcher: Fetcher, tmp_path: Path) -> None:
    """An installer loads definitions before the first start."""
    service = Running(tmp_path)
    service.write_config()
    loaded = await fetcher("metadefs", "load", "--config", service.config, write(tmp_path / "in", one=FIRST))
    assert loaded.code == Exit.OK
    async with service:
        assert (await shown(service))["display_name"] == "Test"


WRONG: dict[str, Any] = {
    "json": "{",
    "list": [],
    "name": {"display_name": "x"},
    "property": {"namespace": "x", "properties": {"p": {"title": "P", "type": "odd"}}},
    "unknown": {"namespace": "x", "propertys": {}},
}


@pytest.mark.parametrize("name", WRONG)
async def test_one_wrong_file_keeps_all_out(fetcher: Fetcher, name: str, tmp_path: Path) -> None:
    """The mistake is told with its file, and nothing is changed."""
    service = Running(tmp_path)
    service.write_config()
    folder = write(tmp_path / "in", **{"a": FIRST, f"wrong {name}": WRONG[name]})
    loaded = await fetcher("metadefs", "load", "--json", "--config", service.config, folder)
    assert loaded.code == Exit.USAGE
    [mistake] = loaded.json["mistakes"]
    assert f"wrong {name}.json" in mistake
    assert not (tmp_path / "data").exists()
    for path in (tmp_path / "nothing.json", write(tmp_path / "empty")):
        assert (await fetcher("metadefs", "load", "--config", service.config, path)).code == Exit.USAGE
