"""Simplestreams: what Ubuntu and Incus publish is read; what leaves the catalogue is not."""

import json
from datetime import date
from typing import Any

import pytest

from fetcher.errors import CatalogueUnusable
from fetcher.parsers.catalogues import choose, parse_name, read_index, read_products, search
from tests.lab.catalogue import UPDATED, index, item, products, ubuntu

BASE = "https://images.example/releases"
BODY = b"disk"


def test_a_product_of_ubuntu_answers_to_version_release_and_aliases() -> None:
    """The newest serial is chosen by any of the names, with its digest, its size and its end of life."""
    versions = {
        "20260401": item("a/1.img", BODY),
        "20260421": item("a/2.img", BODY),
        "20260421.2": item("a/3.img", BODY),
    }
    reading = read_products(products(ubuntu(versions)), BASE, max_entries=10)
    assert reading.left_out == 0
    for name in ("ubuntu:26.04", "ubuntu:resolute", "Ubuntu:R", "ubuntu", "ubuntu:26.04/amd64"):
        entry = choose(reading.entries, parse_name(name), "x86_64")
        assert entry is not None, name
        assert (entry.url, entry.serial) == (f"{BASE}/a/3.img", "20260421.2")
        assert entry.reference == "ubuntu:26.04@20260421.2/x86_64"
        assert entry.digest is not None
        assert (entry.digest.algorithm, entry.size) == ("sha256", len(BODY))
        assert (entry.released, entry.end_of_life) == (date(2026, 4, 21), date(2031, 5, 31))
    older = choose(reading.entries, parse_name("ubuntu:26.04@20260401"), "x86_64")
    assert older is not None
    assert older.url == f"{BASE}/a/1.img"
    assert choose(reading.entries, parse_name("ubuntu:26.04/arm64"), "x86_64") is None


def test_a_product_of_incus_answers_to_its_variant() -> None:
    """Of an Incus server the disk is taken, not the archives beside it."""
    versions = {
        "20260401_23:08": {
            "items": {
                "incus.tar.xz": {"ftype": "incus.tar.xz", "path": "images/a/incus.tar.xz"},
                "root.squashfs": {"ftype": "squashfs", "path": "images/a/root.squashfs"},
                "disk.qcow2": item("images/a/20260401_23:08/disk.qcow2", BODY, "disk-kvm.img"),
            }
        }
    }
    product = {
        "aliases": "almalinux/9/cloud",
        "arch": "arm64",
        "os": "Almalinux",
        "release": "9",
        "release_title": "9",
        "variant": "cloud",
        "versions": versions,
    }
    [entry] = read_products(products(product), BASE, max_entries=10).entries
    assert entry.name == "almalinux:9-cloud"
    assert entry.arch == "aarch64"
    assert entry.url == f"{BASE}/images/a/20260401_23:08/disk.qcow2"
    assert entry.disk_format == "qcow2"


def test_what_a_product_says_holds_for_its_versions() -> None:
    """A fact may stand at any level; the innermost one counts."""
    product = ubuntu({"20260401": item("a.img", BODY, arch="arm64")})
    [entry] = read_products(products(product), BASE, max_entries=10).entries
    assert entry.arch == "aarch64"


PATHS = {
    "climbs": "../../etc/passwd",
    "climbs-inside": "a/../../b.img",
    "absolute": "/etc/passwd",
    "another-host": "https://evil.example/disk.img",
    "another-host-without-scheme": "//evil.example/disk.img",
    "encoded": "a/%2e%2e/%2e%2e/b.img",
    "backslash": "a\\..\\b.img",
    "dot": "./a.img",
    "query": "a.img?x=1",
    "fragment": "a.img#x",
    "colon-first": "javascript:alert(1)",
    "empty": "",
    "line-break": "a\nb.img",
    "too-long": "a/" * 2000,
    "no-text": 7,
}


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS.keys())
def test_k04_a_path_that_leaves_the_catalogue_is_left_out(path: object) -> None:
    """No image of such a path can be asked for; the others can."""
    bad = ubuntu({"20260401": item("x", BODY) | {"path": path}})
    good = ubuntu({"20260402": item("good.img", BODY)})
    reading = read_products(products(bad, good), BASE, max_entries=10)
    assert [entry.url for entry in reading.entries] == [f"{BASE}/good.img"]
    assert reading.left_out == (1 if path != "" else 0)


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS.keys())
def test_k04_an_index_that_leads_elsewhere_is_unusable(path: object) -> None:
    """Its files of products are fetched, so each path has to stay below."""
    text = index("good.json").replace(b'"good.json"', json.dumps(path).encode())
    with pytest.raises(CatalogueUnusable):
        read_index(text, max_parts=10)


DOCUMENTS: dict[str, bytes] = {
    "no-json": b"\xff\xfe{",
    "empty": b"",
    "another-format": b'{"format": "products:2.0", "products": {}}',
    "a-list": b"[]",
    "deep": b'{"format": "products:1.0", "products": ' + b"[" * 100_000,
    "products-a-list": b'{"format": "products:1.0", "products": []}',
    "huge-number": b'{"format": "products:1.0", "products": ' + b"9" * 100_000 + b"}",
    "product-no-table": b'{"format": "products:1.0", "products": {"a": 3}}',
}


@pytest.mark.parametrize("text", DOCUMENTS.values(), ids=DOCUMENTS.keys())
def test_what_is_no_file_of_products_is_unusable(text: bytes) -> None:
    """Whatever a server sends, the answer is a typed error."""
    with pytest.raises(CatalogueUnusable):
        read_products(text, BASE, max_entries=10)


def test_too_many_images_and_files_are_refused() -> None:
    """At the limit a catalogue is read, one past it none of it."""
    versions = {f"2026{number:04}": item(f"{number}.img", BODY) for number in range(5)}
    text = products(ubuntu(versions))
    assert len(read_products(text, BASE, max_entries=5).entries) == 5
    with pytest.raises(CatalogueUnusable):
        read_products(text, BASE, max_entries=4)
    paths = [f"{number}.json" for number in range(3)]
    assert len(read_index(index(*paths), max_parts=3)[0]) == 3
    with pytest.raises(CatalogueUnusable):
        read_index(index(*paths), max_parts=2)


def test_only_images_to_download_are_read_from_an_index() -> None:
    """Lists of images of public clouds stand beside them, in the same index."""
    document = json.loads(index("a.json"))
    document["index"]["aws"] = {"datatype": "image-ids", "format": "products:1.0", "path": "aws.json"}
    parts, updated = read_index(json.dumps(document).encode(), max_parts=10)
    assert [part.path for part in parts] == ["a.json"]
    assert updated is not None
    assert updated.isoformat() == "2026-04-20T10:00:00+00:00"
    assert "2026" in UPDATED


MOMENTS: dict[str, Any] = {
    "number": 1.5,
    "list": [],
    "words": "yesterday",
    "long": "M" * 99,
    "far": "1 Jan 99999",
}


@pytest.mark.parametrize("moment", MOMENTS.values(), ids=MOMENTS.keys())
def test_a_moment_that_is_none_is_unknown(moment: object) -> None:
    """A catalogue that does not tell when it was written is read all the same."""
    document = json.loads(products(ubuntu({"1": item("a", BODY)})))
    reading = read_products(json.dumps(document | {"updated": moment}).encode(), BASE, max_entries=9)
    assert (len(reading.entries), reading.updated) == (1, None)


SIZES: dict[str, Any] = {"zero": 0, "negative": -1, "text": "12", "huge": 2**63, "switch": True}


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES.keys())
def test_a_size_that_is_none_is_not_believed(size: object) -> None:
    """It is shown as unknown; the size that counts is that of what comes."""
    [entry] = read_products(
        products(ubuntu({"1": item("a", BODY) | {"size": size}})), BASE, max_entries=9
    ).entries
    assert entry.size is None


def test_a_digest_that_is_none_is_not_promised() -> None:
    """A digest of another length or with other letters is left out, and the next best counts."""
    one = item("a", BODY) | {"sha512": "12", "sha256": "z" * 64}
    [entry] = read_products(products(ubuntu({"1": one})), BASE, max_entries=9).entries
    assert entry.digest is not None
    assert entry.digest.algorithm == "md5"


def test_a_search_shows_the_newest_of_each_image() -> None:
    """Words are looked for in names and title; a family's newest version comes first."""
    old = ubuntu({"1": item("a", BODY)}, version="9.10", release="karmic", aliases="")
    new = ubuntu({"20260401": item("b", BODY), "20260402": item("c", BODY)})
    arm = ubuntu({"20260401": item("d", BODY)}, arch="arm64")
    entries = read_products(products(old, new, arm), BASE, max_entries=9).entries
    found = [entry.reference for entry in search(entries, ["ubuntu"], None)]
    assert found == [
        "ubuntu:26.04@20260401/aarch64",
        "ubuntu:26.04@20260402/x86_64",
        "ubuntu:9.10@1/x86_64",
    ]
    assert [entry.arch for entry in search(entries, ["26.04", "resolute"], "aarch64")] == ["aarch64"]
    assert search(entries, ["fedora"], None) == []
