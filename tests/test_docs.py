"""Documentation that is made from the code says what the code says."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "scripts"))
import docs  # noqa: E402 - scripts/docs.py


@pytest.mark.parametrize("name", docs.PAGES)
def test_made_pages_are_fresh(name: str) -> None:
    """`python scripts/docs.py` has been run since the code changed."""
    assert (ROOT / "docs" / name).read_text() == docs.PAGES[name]()


def test_the_states_are_drawn_from_their_table() -> None:
    """ARCHITECTURE.md shows every state and every move that the code has, and no other."""
    text = (ROOT / "ARCHITECTURE.md").read_text()
    assert docs.with_states(text) == text
    assert "queued --> running: claim" in text


def test_the_manual_is_what_man_takes() -> None:
    """The formatter of manual pages finds nothing wrong with it, and every command is there."""
    groff = shutil.which("groff")
    if groff is None:
        pytest.skip("Debian's package groff-base is not installed")
    page = (ROOT / "docs" / "fetcher.1").read_text()
    done = subprocess.run(
        [groff, "-man", "-ww", "-Tascii", "-rLL=100n"], input=page, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    shown = re.sub(r"\x1b\[[0-9;]*m|.\x08", "", done.stdout)
    for words in ("fetcher submit [OPTIONS] URL", "--checksum-url STR", "fetcher store backup", "130"):
        assert words in shown


def test_every_key_has_its_reason_beside_it() -> None:
    """An operator who tunes a limit reads why it is what it is."""
    text = (ROOT / "config.toml").read_text()
    page = docs.configuration_page()
    for section, table in tomllib.loads(text).items():
        assert re.search(rf"^\[{section}\]\s+# \w", text, re.MULTILINE), section
        for key in table:
            assert f"| `{key}` |" in page, f"{section}.{key} has no reason beside it"


def test_links_lead_somewhere() -> None:
    """A link between pages of the project points at a file that exists."""
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("**/*.md")]:
        for target in re.findall(r"\]\(([^)#:]+?)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
