"""CONTRIBUTING's recipe for a guard, followed to the letter on a copy of the house."""

import asyncio
import json
import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from fetcher.cli.exits import Exit
from tests.images import raw
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.service import Running

ROOT = Path(__file__).parents[2]
BODY = raw(100_000) + b"ABRACADABRA" + raw(100_000, seed=1)
COMMAND = ("-c", "from fetcher.cli import main; main()")
PUBLISHED = (
    "from fetcher.config import load_settings\n"
    "from fetcher.guards import published\n"
    "print(*(limit.name for limit in published(load_settings())))"
)


def steps() -> list[tuple[str, str]]:
    """What each code block of the recipe says to do, and with which lines."""
    recipe = (ROOT / "CONTRIBUTING.md").read_text().partition("## A new guard")[2]
    found = []
    for block in re.findall(r"^   ```\w+\n(.*?)^   ```$", recipe, flags=re.MULTILINE | re.DOTALL):
        lines = "\n".join(line.removeprefix("   ") for line in block.splitlines())
        step, _, text = lines.partition("\n")
        found.append((step.removeprefix("# "), text + "\n"))
    return found


def follow(step: str, text: str, tree: Path) -> None:
    """Do one step."""
    if step.startswith("New file "):
        file = tree / step.removeprefix("New file ")
        assert not file.exists()
        file.write_text(text)
        return
    place = re.fullmatch(r'In (\S+), (after|before) "(.*)"', step)
    assert place is not None, step
    file, where, line = tree / place[1], place[2], place[3]
    content = file.read_text()
    found = re.findall(rf"^{re.escape(line)}.*\n", content, flags=re.MULTILINE)
    assert len(found) == 1, f"{line!r} stands {len(found)} times in {place[1]}"
    new = found[0] + text if where == "after" else text + "\n" + found[0]
    file.write_text(content.replace(found[0], new))


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The house with the recipe's guard in it."""
    folder: Path = tmp_path_factory.mktemp("house")
    shutil.copytree(ROOT / "fetcher", folder / "fetcher", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "config.toml", folder)
    found = steps()
    assert len(found) >= 6
    for step, text in found:
        follow(step, text, folder)
    return folder


async def python(tree: Path, *arguments: object) -> tuple[int, str]:
    """Run Python on the copy; exit code and standard output come back."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *(str(argument) for argument in arguments),
        stdout=asyncio.subprocess.PIPE,
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree)},
    )
    out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode()


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
