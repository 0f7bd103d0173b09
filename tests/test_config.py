"""The configuration: every mistake at once, and a base file that is complete."""

from pathlib import Path

import pytest

from fetcher.config import BadConfig, load_settings


def test_base_file_is_valid() -> None:
    """The file that ships is one that the service takes."""
    assert load_settings().server.listen == "127.0.0.1:9292"


def test_every_mistake_is_listed_at_once(tmp_path: Path) -> None:
    """An operator mends a file in one go, not one mistake at a time."""
    file = tmp_path / "bad.toml"
    file.write_text('[size]\nmax_bytes = -1\nmax_virtual = 1\n[nope]\n[url]\nschemes = ["ftp"]\n')
    with pytest.raises(BadConfig) as caught:
        load_settings(file)
    assert {mistake.key for mistake in caught.value.mistakes} == {
        "size.max_bytes",
        "size.max_virtual",
        "nope",
        "url.schemes",
    }
