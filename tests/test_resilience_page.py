"""The page on resilience names tests that exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_every_promise_of_the_page_has_its_test() -> None:
    """A promise whose test was renamed or removed is a promise no more."""
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "docs" / "resilience.md").read_text()))
    written = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        written |= set(re.findall(r"^(?:async )?def (test_\w+)", path.read_text(), re.MULTILINE))
    assert len(named) > 60
    assert named - written == set()
