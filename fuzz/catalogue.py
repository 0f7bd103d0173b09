"""A catalogue of any bytes is refused, or its images are asked for below its base or at plain URLs."""

import json
from urllib.parse import urlsplit

from fetcher.errors import CatalogueUnusable, InvalidRequest
from fetcher.parsers.catalogues import (
    Entry,
    choose,
    is_name,
    parse_name,
    read_image_manager,
    read_index,
    read_products,
    search,
)
from fuzz.choices import Choices

INSTRUMENT = ["fetcher.parsers.catalogues"]
BASE = "https://images.example/releases"
MOST = 12
PATHS = (
    *(
        "a.img",
        "a/b.img",
        "../a",
        "/a",
        "//evil/a",
        "https://evil/a",
        "a/../../b",
        "a/%2e%2e/b",
        "a\\b",
        "a?b",
    ),
    *("a#b", ".", "..", "", "a//b", "a b", "ä/ö", "c:/x", "a/c:x", "\n", "a\x00b", "\u202ea"),
)
WORDS = (
    *(
        "ubuntu",
        "26.04",
        "resolute,26.04",
        "amd64",
        "arm64",
        "almalinux/9/cloud",
        "2031-05-31",
        "20260421",
        "",
    ),
    *("../x", "x@y", "UBUNTU", "\ud800", "9" * 300, "0000-00-00", "release", ":", "-"),
)
VALUES = (*WORDS, 7, -1, True, None, [], {}, 1.5, 2**70)
KEYS = ("os", "version", "release", "aliases", "arch", "variant", "support_eol", "pubname", "size", "label")
FTYPES = ("disk1.img", "disk-kvm.img", "squashfs", "vmdk", "img", 3)
YAML = (
    *(
        "images:\n",
        "  - name: ",
        "Ubuntu 26.04",
        "\n    meta: {architecture: x86_64, os_distro: ubuntu}\n",
        "{}",
        "[]",
    ),
    *(
        "    versions:\n",
        "      - {version: '1', url: 'https://a.example/b', checksum: 'sha256:",
        "a" * 64,
        "'}\n",
    ),
    *(
        "&a ",
        "*a",
        "!!python/object:os.system ",
        "---\n",
        "\t",
        "- ",
        "? ",
        ": ",
        "'",
        '"',
        "[",
        "{",
        "|\n",
        "<<: ",
    ),
    *("    latest_url: https://a.example/c\n", "    min_disk: ", "-1\n", "9" * 30, "    shortname: x\n"),
)


def check(seed: bytes) -> None:
    """Check the invariant on one input."""
    choices = Choices(seed)
    try:
        if choices.number(2):
            text = (
                choices.some(YAML, 40).encode("utf-8", "surrogatepass")
                if choices.number(6)
                else choices.raw(200)
            )
            entries = read_image_manager(text, max_entries=MOST).entries
            at = ""
        else:
            entries = _streams(choices)
            at = f"{BASE}/"
    except CatalogueUnusable as error:
        assert error.reason.isprintable()
        return
    assert len(entries) <= MOST
    for entry in entries:
        _judge(entry, at)
    assert len(search(entries, [], None)) <= len(entries)


def _streams(choices: Choices) -> list[Entry]:
    document = {"format": choices.pick(("products:1.0", "index:1.0", "x")), "updated": choices.pick(VALUES)}
    document["products"] = {f"a:{number}": _product(choices) for number in range(choices.number(4))}
    document["index"] = {"x": {"format": "products:1.0", "path": choices.pick(PATHS)}}
    text = json.dumps(document).encode() if choices.number(8) else choices.raw(120)
    if choices.number(4) == 0:
        for part in read_index(text, max_parts=4)[0]:
            assert not {"", ".", ".."} & set(part.path.split("/"))
        return []
    return read_products(text, BASE, max_entries=MOST).entries


def _product(choices: Choices) -> dict[str, object]:
    product: dict[str, object] = {choices.pick(KEYS): choices.pick(VALUES) for _ in range(choices.number(8))}
    items = {
        "disk": {"ftype": choices.pick(FTYPES), "path": choices.pick(PATHS), "sha256": choices.pick(VALUES)}
    }
    item = items if choices.number(6) else choices.pick(VALUES)
    product["versions"] = {str(choices.pick(WORDS)): {"items": item} for _ in range(choices.number(3))}
    return product


def _judge(entry: Entry, at: str) -> None:
    parts = urlsplit(entry.url)
    assert parts.scheme in {"http", "https"}
    assert parts.hostname
    assert entry.url.isascii()
    assert entry.url.isprintable()
    if at:
        assert entry.url.startswith(at)
        assert not {"", ".", ".."} & set(entry.url.removeprefix(at).split("/"))
    assert entry.name in entry.names
    assert "\n" not in entry.title
    if is_name(entry.reference):
        try:
            found = choose([entry], parse_name(entry.reference), "x86_64")
        except InvalidRequest:
            return
        assert found is entry
