"""Statements that are signed on their way into the index."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fetcher.attest import KeyFolder, PromptSigner, read_envelope
from fetcher.attest.folder import SIGNING
from fetcher.errors import StoreFailed

STORY: dict[str, Any] = {
    "import_id": "i",
    "method": "web-download",
    "digests": {"sha256": "0" * 64},
    "submitted": {"url": "https://a.example/x", "at": datetime(2026, 1, 1, tzinfo=UTC).isoformat()},
    "attempts": [],
}


def test_without_a_key_nothing_is_signed(tmp_path: Path) -> None:
    """No key is made in passing: the attestor makes the first one."""
    assert PromptSigner(KeyFolder(tmp_path)).sign("image", STORY, "") is None
    assert list(tmp_path.iterdir()) == []


def test_whatever_key_is_there_signs(tmp_path: Path) -> None:
    """A rotation holds at once, and each key is among those that are served."""
    folder = KeyFolder(tmp_path)
    signer = PromptSigner(folder)
    for _turn in range(2):
        key_id = folder.rotate().key_id
        for _again in range(2):
            made = signer.sign("image", STORY, "")
            assert made is not None
            assert made[0] == key_id
            payload, key = read_envelope(made[1].encode()).open([one.public for one in folder.known()])
            assert key.key_id == key_id
            assert b'"name":"image"' in payload


def test_a_key_that_others_can_read_signs_nothing(tmp_path: Path) -> None:
    """Its mode is looked at each time, as the file is."""
    folder = KeyFolder(tmp_path)
    folder.rotate()
    signer = PromptSigner(folder)
    assert signer.sign("image", STORY, "") is not None
    (tmp_path / SIGNING).chmod(0o644)
    with pytest.raises(StoreFailed):
        signer.sign("image", STORY, "")
