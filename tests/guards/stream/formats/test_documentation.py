"""The page on formats says what the code says."""

import ast

import pytest

from tests.guards.stream.formats.corpus import rows
from tests.guards.stream.formats.documentation import HEADINGS, PAGE, ROOM, described, rewritten, rules

FORMATS = [
    *(
        "qcow2",
        "qcow2_tables",
        "qcow1",
        "qed",
        "vmdk",
        "vmdk_descriptor",
        "vdi",
        "vhd",
        "vhdx",
        "vhdx_metadata",
    ),
    *(
        "parallels",
        "bochs",
        "cloop",
        "dmg",
        "luks",
        "iso9660",
        "udf",
        "tar",
        "ova",
        "ova_papers",
        "gzip",
        "xz",
    ),
    *("zstandard", "bzip2", "pkzip", "sevenzip", "lz4", "kernel", "ramdisk", "partitions", "filesystem"),
    *("document", "peek"),
]


def test_page_is_fresh() -> None:
    """`python bench/formats.py docs` has been run since the code changed."""
    page = PAGE.read_text("utf-8")
    assert rewritten(page) == page


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_says_what_it_does(name: str) -> None:
    """A format's file states its specification, the bytes it needs, its structural and its safety checks."""
    parts = next(parts for title, parts in described().items() if title.startswith(f"{name}: "))
    assert set(parts) in ({*HEADINGS}, {"Specification", "Reads", "Structure, safety"})
    assert all(parts.values())


def test_every_rule_is_broken_by_a_sample() -> None:
    """No rule is there that the corpus does not show at work, and none is at work that is not told."""
    broken = {row.rule for row in rows() if row.verdict == "format-unsafe"}
    assert set(rules()) - broken == {"inspector-fault"} | UNSEEN
    assert broken <= set(rules())


UNSEEN = {"vhdx-version"}
"""Rules that a sample of their own shows in a test beside the format, not in the corpus."""


def test_one_file_knows_libmagic() -> None:
    """Of all guards one file imports python-magic, so that its absence is handled in one place."""
    importing = set()
    for file in ROOM.parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if "magic" in names:
                importing.add(file.name)
    assert importing == {"naming.py"}
