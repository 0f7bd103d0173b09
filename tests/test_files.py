"""Files put in place whole."""

from pathlib import Path

import pytest

from fetcher.files import replace_file


def test_a_file_takes_the_place_of_an_earlier_one(tmp_path: Path) -> None:
    """Its folder is made, for its owner alone, and nothing stays beside it."""
    file = tmp_path / "folder" / "kept.json"
    replace_file(file, b"one")
    replace_file(file, b"two")
    assert file.read_bytes() == b"two"
    assert list(file.parent.iterdir()) == [file]
    assert file.parent.stat().st_mode & 0o777 == 0o700


def test_what_cannot_be_put_in_place_leaves_nothing(tmp_path: Path) -> None:
    """The earlier file, or here a folder of its name, is as it was."""
    (tmp_path / "kept.json" / "inside").mkdir(parents=True)
    with pytest.raises(OSError, match="directory"):
        replace_file(tmp_path / "kept.json", b"two")
    assert [path.name for path in tmp_path.iterdir()] == ["kept.json"]
