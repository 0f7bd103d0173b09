"""Files of openstack-image-manager: names, digests and properties are read, tricks of YAML are not."""

from datetime import date

import pytest

from fetcher.errors import CatalogueUnusable, InvalidRequest
from fetcher.parsers.catalogues import choose, has_ended, is_name, parse_name, read_image_manager
from fetcher.parsers.catalogues.entry import natural
from tests.lab.catalogue import manager

URL = "https://cloud.example/debian-13.raw"


def test_an_image_has_all_that_the_file_says() -> None:
    """Name, newest version, digest, login, sizes, properties and the end of its publisher's care."""
    reading = read_image_manager(manager(URL, b"disk"), max_entries=10)
    entry = choose(reading.entries, parse_name("debian:13"), "x86_64")
    assert entry is not None
    assert entry == choose(reading.entries, parse_name("debian-13"), "x86_64")
    assert (entry.serial, entry.url) == ("20260401", URL)
    assert (entry.login, entry.min_disk, entry.min_ram) == ("debian", 8, 512)
    assert (entry.released, entry.end_of_life) == (date(2026, 4, 1), date(2030, 6, 30))
    assert has_ended(entry, date(2030, 7, 1))
    assert not has_ended(entry, date(2030, 6, 30))
    assert entry.properties["hw_disk_bus"] == "scsi"
    assert entry.properties["image_original_user"] == "debian"
    assert not {"uuid_validity", "replace_frequency", "provided_until"} & entry.properties.keys()


def test_an_image_without_versions_is_its_latest() -> None:
    """Where a file lists none, the URL of the newest is asked, with the checksum file beside it."""
    text = f"""images:
  - name: Cirros
    meta: {{ architecture: x86_64 }}
    latest_url: {URL}
    latest_checksum_url: {URL}.sums
"""
    [entry] = read_image_manager(text.encode(), max_entries=10).entries
    assert (entry.reference, entry.checksum_url) == ("cirros@latest/x86_64", f"{URL}.sums")
    assert read_image_manager(text.replace("latest_url", "no_url").encode(), max_entries=10).entries == []


LAUGHS = b"a: &a [x, x]\nb: &b [*a, *a]\nimages: [*b, *b]\n"
FILES: dict[str, bytes] = {
    "aliases": LAUGHS,
    "anchor-alone": b"images: &x []\n",
    "python-object": b"images: !!python/object/apply:os.system ['true']\n",
    "no-yaml": b"images: [\n",
    "no-text": b"\xff\xfe\xfa",
    "control-characters": b"images: \x00",
    "deep": b"images: " + b"[" * 5000,
    "a-text": b"hello",
    "images-a-text": b"images: hello",
    "no-images": b"other: []",
    "two-documents": b"images: []\n---\nimages: []\n",
    "row-a-text": b"images: [hello]",
    "meta-missing": b"images: [{name: x}]",
    "amount-negative": b"images: [{name: x, meta: {}, min_disk: -1}]",
    "unhashable-key": b"? [a]\n: b\n",
}


@pytest.mark.parametrize("text", FILES.values(), ids=FILES.keys())
def test_what_is_no_such_file_is_unusable(text: bytes) -> None:
    """Nothing in YAML makes an object, expands, or goes deeper than the file needs."""
    with pytest.raises(CatalogueUnusable):
        read_image_manager(text, max_entries=10)


URLS = {
    "file": "file:///etc/passwd",
    "ftp": "ftp://cloud.example/x",
    "no-host": "https:///x",
    "user": "https://me:secret@cloud.example/x",
    "fragment": "https://cloud.example/x#y",
    "space": "'https://cloud.example/x y'",
    "words": "private",
    "bracket": "'http://[::1'",
    "backslash": "'https://cloud.example\\@evil.example/'",
}


@pytest.mark.parametrize("url", URLS.values(), ids=URLS.keys())
def test_k04_an_image_without_a_plain_url_is_left_out(url: str) -> None:
    """Whatever stands in place of a URL, such an image cannot be asked for."""
    reading = read_image_manager(
        manager("URL", b"").replace(b"URL.old", b"URL").replace(b"URL", url.encode()), max_entries=9
    )
    assert (reading.entries, reading.left_out) == ([], 2)


@pytest.mark.parametrize("word", ['"a\\e[2Jb"', "x" * 65, '"two\\nlines"'], ids=["escape", "long", "lines"])
@pytest.mark.parametrize("field", ["architecture", "format"])
def test_k04_an_architecture_or_format_that_is_no_word_is_left_out(field: str, word: str) -> None:
    """Terminal codes and endless text of a catalogue reach neither screen nor submission."""
    image = f"""images:
  - name: Debian 13
    {"format: " + word if field == "format" else "format: raw"}
    latest_url: {URL}
    meta: {{architecture: {word if field == "architecture" else "x86_64"}, os_version: "13"}}
"""
    reading = read_image_manager(image.encode(), max_entries=9)
    assert (reading.entries, reading.left_out) == ([], 1)


@pytest.mark.parametrize("text", ["²", "1²", "①", "9" * 5000])
def test_versions_of_any_digits_can_be_sorted(text: str) -> None:
    """What Python calls a digit need not be a number; and none is so long that it cannot be read."""
    assert natural(text) == natural(text)
    assert sorted([natural(text), natural("9.10"), natural("9.9")])


def test_too_many_versions_are_refused() -> None:
    """At the limit a file is read, one past it none of it."""
    assert len(read_image_manager(manager(URL, b""), max_entries=2).entries) == 2
    with pytest.raises(CatalogueUnusable):
        read_image_manager(manager(URL, b""), max_entries=1)


NAMES = {
    "ubuntu": True,
    "ubuntu:26.04": True,
    "ubuntu:26.04@20260421": True,
    "ubuntu:26.04@20260421.1/arm64": True,
    "Debian:13/x86-64": True,
    "https://example.org/x": False,
    "example.org/disk.img?x": False,
    "ubuntu:26.04@": False,
    "../etc": False,
    "": False,
    "a b": False,
    "ubuntu:26.04/../x": False,
    "u" * 600: False,
}


@pytest.mark.parametrize(("text", "is_one"), NAMES.items(), ids=[str(number) for number in range(len(NAMES))])
def test_a_name_is_told_from_a_url(text: str, is_one: bool) -> None:
    """What is no name is refused with how one is written."""
    assert is_name(text) == is_one
    if is_one:
        assert parse_name(text).name == parse_name(text).name.lower()
    else:
        with pytest.raises(InvalidRequest):
            parse_name(text)
