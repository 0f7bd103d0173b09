"""Documentation that is made from the code says what the code says."""

import re
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
