"""The changelog has the form of Keep a Changelog 1.1, so that people and programs find what they look for.

Source: https://keepachangelog.com/en/1.1.0/
"""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
KINDS = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]
VERSION = re.compile(r"## \[(Unreleased|\d+\.\d+\.\d+)\]( - \d{4}-\d{2}-\d{2})?")
MAX_LETTERS = 400


def lines() -> list[str]:
    return (ROOT / "CHANGELOG.md").read_text().splitlines()


def test_versions_come_first_and_kinds_in_their_order() -> None:
    """What is not released stands at the top; each version's changes are sorted by kind, each kind once."""
    assert lines()[0] == "# Changelog"
    versions = [line for line in lines() if line.startswith("## ")]
    assert versions[0] == "## [Unreleased]"
    assert all(VERSION.fullmatch(line) for line in versions)
    for part in re.split(r"^## ", "\n".join(lines()), flags=re.MULTILINE)[1:]:
        kinds = re.findall(r"^### (.+)$", part, re.MULTILINE)
        assert kinds == [kind for kind in KINDS if kind in kinds]
        assert len(kinds) == len(set(kinds))


def test_an_entry_is_one_short_line_below_its_kind() -> None:
    """Nothing stands outside a kind, and nobody has to read a paragraph to find one change."""
    kind = ""
    for line in lines():
        if line.startswith("##"):
            kind = line.removeprefix("### ") if line.startswith("### ") else ""
        elif line.startswith(("- ", "* ")):
            assert kind in KINDS, line
            assert line.startswith("- "), line
            assert len(line) <= MAX_LETTERS, line
        else:
            assert not kind or not line, line


def test_no_entry_stands_twice() -> None:
    """A merge that keeps both sides leaves no line behind."""
    entries = [line for line in lines() if line.startswith("- ")]
    assert len(entries) > 100
    assert sorted(set(entries)) == sorted(entries)
