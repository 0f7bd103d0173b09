"""CONTRIBUTING's recipe for a stage, followed to the letter on a copy of the services."""

import json
from pathlib import Path

from fetcher.cli.exits import Exit
from tests.images import raw
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.recipe import COMMAND, follow_recipe, python
from tests.service import Running


async def test_the_recipe_s_stage_judges_imports(tmp_path: Path) -> None:
    """It refuses an import, which leaves nothing; one that it lets pass tells of it."""
    tree, folder = tmp_path / "services", tmp_path / "service"
    tree.mkdir()
    folder.mkdir()
    assert follow_recipe("A new stage", tree) == 3
    routes = {"/empty": behaviours.serve(bytes(10_000)), "/full": behaviours.serve(raw(10_000))}
    async with Origin(routes) as origin:
        running = Running(folder, origin)
        running.write_config()
        options = ("--config", running.config, "--disk-format", "raw", "--json")
        code, out = await python(tree, *COMMAND, "pull", origin.url("/empty"), *options)
        assert code == Exit.REFUSED
        assert json.loads(out)["verdict"]["fields"]["rule"] == "blank"
        assert running.traces() == []
        code, out = await python(tree, *COMMAND, "pull", origin.url("/full"), *options)
    assert code == 0
    assert set(json.loads(out)["stages"]) == {"blank"}
