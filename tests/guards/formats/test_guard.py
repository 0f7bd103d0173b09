"""The format guard as a whole: claims, verdicts, refusals."""

import pytest

from fetcher.config import load_settings
from fetcher.errors import EmptySource, FormatMismatch, FormatUnknown
from fetcher.guards.formats import FormatGuard


def new_guard(disk: str | None = None, container: str | None = None) -> FormatGuard:
    """Make a guard with the settings that ship."""
    settings = load_settings()
    return FormatGuard(
        disk_formats=settings.format.disk_formats,
        container_formats=settings.format.container_formats,
        max_virtual_bytes=settings.size.max_virtual_bytes,
        claimed_disk_format=disk,
        claimed_container_format=container,
    )


def test_no_bytes_are_refused() -> None:
    """An empty source has an error of its own."""
    guard = new_guard()
    with pytest.raises(EmptySource):
        guard.finish()


def test_wrong_claim_is_refused_within_the_head() -> None:
    """A gzip archive that is said to be qcow2 ends after 64 KiB, with advice."""
    guard = new_guard("qcow2")
    with pytest.raises(FormatMismatch) as caught:
        guard.feed(b"\x1f\x8b\x08\0" + bytes(65_532))
    assert caught.value.found == "a gzip archive"
    assert "container_format=compressed" in caught.value.hint


def test_page_is_named_without_its_content() -> None:
    """What a login page says never comes back in the answer."""
    guard = new_guard()
    guard.feed(b"<!DOCTYPE html><title>Secret</title>")
    with pytest.raises(FormatUnknown) as caught:
        guard.finish()
    assert caught.value.found == "an HTML page"
    assert "Secret" not in str(caught.value.public_fields())
