"""The configuration: every mistake at once, and a base file that is complete."""

from pathlib import Path

import pytest

from fetcher.config import BadConfig, data_folder, load_settings
from fetcher.settings.server import is_loopback


def mistakes(text: str, tmp_path: Path) -> dict[str, str]:
    """What is wrong with a file: expectation by key."""
    file = tmp_path / "bad.toml"
    file.write_text(text)
    with pytest.raises(BadConfig) as caught:
        load_settings(file)
    return {mistake.key: mistake.expected for mistake in caught.value.mistakes}


def test_base_file_is_valid() -> None:
    """The file that ships is one that the service takes."""
    assert load_settings().server.listen == "127.0.0.1:9292"


def test_every_mistake_is_listed_at_once(tmp_path: Path) -> None:
    """An operator corrects a file in one go, not one mistake at a time."""
    text = '[size]\nmax_bytes = -1\nmax_virtual = 1\n[nope]\n[url]\nschemes = ["ftp"]\n'
    assert set(mistakes(text, tmp_path)) == {"size.max_bytes", "size.max_virtual", "nope", "url.schemes"}


@pytest.mark.parametrize(
    ("text", "key", "word"),
    [
        ("size = 1", "size", "table"),
        ("[size]\nmax_bytes = 1.5", "size.max_bytes", "int"),
        ('[url]\nallow_hosts = ["a*.corp"]', "url.allow_hosts", "*.corp for all below it"),
        ('[url]\nallow_hosts = ["*"]', "url.allow_hosts", "*.corp for all below it"),
        ('[url]\nallow_hosts = ["x.*"]', "url.allow_hosts", "*.corp for all below it"),
        ('[tls]\nunverified_hosts = ["https://a"]', "tls.unverified_hosts", "a host name"),
        ('[egress]\nno_proxy = ["a b"]', "egress.no_proxy", "a host name, .name for all below it"),
        ('[egress]\nno_proxy = ["10.0.0.0/99"]', "egress.no_proxy", "a network"),
        ("[pace]\nidle_seconds = inf", "pace.idle_seconds", "float"),
        ("[pace]\nidle_seconds = nan", "pace.idle_seconds", "float"),
        ('[server]\nlisten = "9292"', "server.listen", "host:port"),
        ('[server]\nlisten = "127.0.0.1:99999"', "server.listen", "65535"),
        ('[server]\nlisten = "192.0.2.1:80"', "server.listen", "loopback"),
        ('[server]\nlisten = "example.org:80"', "server.listen", "loopback"),
        ('[server]\npublic_url = "example.org"', "server.public_url", "http(s)"),
        ('[address]\nallow = [{ cidr = "10.0.0.1/8" }]', "address.allow.cidr", "network"),
        ("[address]\nallow = [{ ports = [1] }]", "address.allow", "cidr"),
        ('[address]\ndeny = ["x"]', "address.deny", "network"),
        ('[checksum]\naddress = "md5"', "checksum.address", "sha256"),
        ('[checksum]\nweak = ["sha256"]', "checksum.weak", "none of"),
        ('[format]\ndisk_formats = ["exe"]', "format.disk_formats", "qcow2"),
        (
            "[retry]\nfirst_wait_seconds = 100.0\nmax_wait_seconds = 1.0",
            "retry.first_wait_seconds",
            "at most",
        ),
        ("[imports]\nthreads = 0", "imports.threads", ">= 1"),
    ],
)
def test_each_mistake_says_what_is_expected(text: str, key: str, word: str, tmp_path: Path) -> None:
    """A key, and what it should be, in words that an operator can act on."""
    found = mistakes(text, tmp_path)
    assert word in found[key]


def test_what_is_no_toml_is_said(tmp_path: Path) -> None:
    """A broken or missing file is one mistake: the file."""
    assert "TOML" in next(iter(mistakes("[size", tmp_path).values()))
    (tmp_path / "bad.toml").unlink()
    with pytest.raises(BadConfig, match="readable"):
        load_settings(tmp_path / "bad.toml")


def test_an_overlay_changes_only_its_keys(tmp_path: Path) -> None:
    """An operator's file holds only what differs."""
    file = tmp_path / "mine.toml"
    file.write_text('[size]\nmax_bytes = 5\n[store]\nfolder = "images"\n')
    settings = load_settings(file)
    assert settings.size.max_bytes == 5
    assert settings.size.max_virtual_bytes == load_settings().size.max_virtual_bytes
    assert data_folder(settings, file) == tmp_path / "images"


def test_former_names_are_still_read(tmp_path: Path) -> None:
    """An operator's file that says [upkeep] and mend means what is called [maintenance] and repair now."""
    file = tmp_path / "former.toml"
    file.write_text("[upkeep]\nscrub_days = 3.0\nmend = false\n")
    found = load_settings(file).maintenance
    assert (found.scrub_days, found.repair) == (3.0, False)
    wrong = mistakes("[upkeep]\nmend = 3\nnope = 1\n", tmp_path)
    assert set(wrong) == {"maintenance.repair", "maintenance.nope"}


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("10.0.0.1", False), ("x", False)],
)
def test_loopback_is_recognised(host: str, expected: bool) -> None:
    """Local mode depends on it."""
    assert is_loopback(host) is expected
