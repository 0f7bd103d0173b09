"""The pages on security and attacks name tests that exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_every_promise_has_its_test() -> None:
    """A promise whose test was renamed or removed is a promise no more."""
    pages = [(ROOT / "docs" / name).read_text() for name in ("security.md", "attacks.md")]
    named = {name for page in pages for name in re.findall(r"`(test_\w+)`", page)}
    written = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        written |= set(re.findall(r"^(?:async )?def (test_\w+)", path.read_text(), re.MULTILINE))
    assert len(named) > 40
    assert named - written == set()


def test_every_setting_named_exists() -> None:
    """Likewise the settings that change the trust."""
    from fetcher.config import load_settings

    settings = load_settings()
    for section, key in re.findall(
        r"^\| `(\w+)\.(\w+)", (ROOT / "docs" / "security.md").read_text(), re.MULTILINE
    ):
        assert hasattr(getattr(settings, section), key), (section, key)


def test_every_attack_has_its_tests_and_every_test_its_attack() -> None:
    """The rows of the page on attacks are those that tests are named after."""
    rows = re.findall(r"^\| ([A-Z]\d\d) \|", (ROOT / "docs" / "attacks.md").read_text(), re.MULTILINE)
    assert len(rows) == len(set(rows)) > 60
    tried = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        for name in re.findall(r"^(?:async )?def test_(\w+)", path.read_text(), re.MULTILINE):
            tried |= {found.upper() for found in re.findall(r"(?:^|_)([uanrhtcszimekl]\d\d)(?=_|$)", name)}
    assert tried == set(rows)
