"""A recipe of CONTRIBUTING, followed to the letter on a copy of the checkout."""

import asyncio
import os
import re
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
COMMAND = ("-c", "from fetcher.cli import main; main()")


def follow_recipe(heading: str, folder: Path) -> int:
    """Make a copy of the checkout and do what each step of a recipe says; return how many there are."""
    # With what is compiled already, but not what another process compiles just now.
    shutil.copytree(ROOT / "fetcher", folder / "fetcher", ignore=shutil.ignore_patterns("*.pyc.*"))
    shutil.copy(ROOT / "config.toml", folder)
    found = steps(heading)
    for step, text in found:
        follow(step, text, folder)
    return len(found)


def steps(heading: str) -> list[tuple[str, str]]:
    """What each code block of the recipe says to do, and with which lines."""
    recipe = (ROOT / "CONTRIBUTING.md").read_text().partition(f"\n## {heading}\n")[2]
    recipe = recipe.partition("\n## ")[0]
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
