"""CONTRIBUTING's recipe for a guard, followed to the letter on a copy of the services."""

import json
from pathlib import Path

import pytest

from fetcher.cli.exits import Exit
from tests.images import raw
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.recipe import COMMAND, follow_recipe, python
from tests.service import Running

BODY = raw(100_000) + b"ABRACADABRA" + raw(100_000, seed=1)
PUBLISHED = (
    "from fetcher.config import load_settings\n"
    "from fetcher.guards import published\n"
    "print(*(limit.name for limit in published(load_settings())))"
)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The services with the recipe's guard in it."""
    folder: Path = tmp_path_factory.mktemp("services")
    assert follow_recipe("A new guard", folder) >= 6
    return folder


async def test_the_recipe_s_guard_refuses_a_file(tree: Path, tmp_path: Path) -> None:
    """`inspect` knows of it."""
    file = tmp_path / "x"
    file.write_bytes(BODY)
    code, out = await python(tree, *COMMAND, "inspect", file, "--disk-format", "raw", "--json")
    assert code == Exit.REFUSED
    assert json.loads(out)["verdict"]["fields"]["rule"] == "words"


async def test_the_recipe_s_guard_refuses_an_import(tree: Path, tmp_path: Path) -> None:
    """So does an import, which leaves nothing."""
    async with Origin({"/x": behaviours.serve(BODY)}) as origin:
        running = Running(tmp_path, origin)
        running.write_config()
        options = ("--config", running.config, "--disk-format", "raw", "--json")
        code, out = await python(tree, *COMMAND, "pull", origin.url("/x"), *options)
    assert code == Exit.REFUSED
    assert json.loads(out)["verdict"]["fields"]["rule"] == "words"
    assert running.traces() == []


async def test_the_recipe_s_limit_is_published(tree: Path) -> None:
    """Its limit stands among the others."""
    code, out = await python(tree, "-c", PUBLISHED)
    assert code == 0
    assert "forbidden_words" in out.split()
