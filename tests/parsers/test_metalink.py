"""Metalinks: strict about what they are, and never a path."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.errors import InvalidRequest
from fetcher.model import Digest
from fetcher.parsers.metalink import parse_metalink

SHA256 = "ab" * 32


def metalink(inner: str, *, head: str = "", name: str = "disk.img") -> bytes:
    file = f'<file name="{name}">{inner}</file>' if name else inner
    inside = f'<metalink xmlns="urn:ietf:params:xml:ns:metalink">{file}</metalink>'
    return f'<?xml version="1.0"?>{head}{inside}'.encode()


def test_urls_come_best_first_with_size_and_the_strongest_digest() -> None:
    """Priority counts, not order; what has none comes last; md5 is passed over."""
    inner = f"""<size>7</size><hash type="md5">00</hash><hash type="sha-256">{SHA256.upper()}</hash>
        <url>https://c.example/x</url><url priority="2">https://b.example/x</url>
        <url priority="1" location="de"> https://a.example/x </url><url priority="1">https://a.example/x</url>"""
    found = parse_metalink(metalink(inner), max_urls=9)
    assert found.urls == ("https://a.example/x", "https://b.example/x", "https://c.example/x")
    assert (found.name, found.size) == ("disk.img", 7)
    assert found.digest == Digest(algorithm="sha256", value=SHA256)
    assert parse_metalink(metalink(inner), max_urls=2).urls == found.urls[:2]


URL = "<url>https://a.example/x</url>"
REFUSED = {
    "entity": metalink(URL, head='<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>', name="&e;"),
    "laughs": metalink(URL, head='<!DOCTYPE x [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]>', name="&b;"),
    "dtd": metalink(URL, head='<!DOCTYPE x SYSTEM "http://127.0.0.1/x">'),
    "no xml": b"\x00",
    "unknown encoding": b'<?xml version="1.0" encoding="klingon"?><x/>',
    "another document": b"<html/>",
    "metalink 3": b'<metalink xmlns="http://www.metalinker.org/"><file name="x"/></metalink>',
    "no file": metalink("", name=""),
    "two files": metalink(f'<file name="a">{URL}</file><file name="b">{URL}</file>', name=""),
    "no url": metalink("<url> </url>"),
    "no name": metalink(f"<file>{URL}</file>", name=""),
    "a path up": metalink(URL, name="../../etc/passwd"),
    "an absolute path": metalink(URL, name="/etc/passwd"),
    "a path of another system": metalink(URL, name="..\\x"),
    "a folder": metalink(URL, name="a/"),
    "a bell": metalink(URL, name="a&#x9;b"),
    "a bad size": metalink(URL + "<size>-1</size>"),
    "an empty size": metalink(URL + "<size>0</size>"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_everything_else_is_refused(name: str) -> None:
    """With an error that names the metalink, and without a look at any entity."""
    with pytest.raises(InvalidRequest) as refused:
        parse_metalink(REFUSED[name], max_urls=9)
    assert refused.value.field == "metalink"


@given(st.one_of(st.binary(max_size=200), st.text(max_size=100).map(metalink)))
def test_nothing_else_comes_out(document: bytes) -> None:
    """Whatever is sent, it is a metalink or a refusal."""
    try:
        found = parse_metalink(document, max_urls=3)
    except InvalidRequest:
        return
    assert found.urls
