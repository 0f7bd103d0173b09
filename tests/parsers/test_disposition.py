"""Names that sources give to files."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.parsers.disposition import name_of

URL = "https://a.example/images/disk%20one.qcow2?sig=hush"


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        (None, "disk one.qcow2"),
        ("inline", "disk one.qcow2"),
        ("attachment", "disk one.qcow2"),
        ("attachment; filename=x.img", "x.img"),
        ('attachment; filename="x y.img"', "x y.img"),
        ('attachment;FileName = "x;y.img" ; size=3', "x;y.img"),
        (r'attachment; filename="a\"b.img"', 'a"b.img'),
        ("attachment; filename=x.img; filename*=UTF-8''caf%C3%A9.img", "caf\u00e9.img"),
        ("attachment; filename*=iso-8859-1'en'caf%E9.img", "caf\u00e9.img"),
        ("attachment; filename*=koi8-r''x; filename=y.img", "y.img"),
        ('attachment; filename="../../etc/passwd"', "passwd"),
        (r'attachment; filename="C:\\temp\\x.img"', "x.img"),
        ('attachment; filename=".."', "disk one.qcow2"),
        ('attachment; filename=""', "disk one.qcow2"),
        ('attachment; filename="gmi.\u202egpj"', "gmi.gpj"),
        ("filename=x.img", "disk one.qcow2"),
        ("attachment; filename='x y.img'", "x y.img"),
        ('attachment; filename="x y%.img"', "x y%.img"),
        ('attachment; filename="x%20y.img"', "x y.img"),
        ('attachment; filename="..%2f..%2fpasswd"', "passwd"),
        ('attachment; filename="=?UTF-8?B?Y2Fmw6kuaW1n?="', "caf\u00e9.img"),
        ('attachment; filename="=?x-none?B?Y2Fm?="', "=?x-none?B?Y2Fm?="),
        ('attachment; filename="caf\udce9.img"', "caf\u00e9.img"),
        (r'attachment; filename="C:\temp\y.img"'.replace("\\\\", "\\"), "y.img"),
        ('attachment; filename="x.img', "x.img"),
    ],
)
def test_name_is_what_is_told_else_the_end_of_the_path(disposition: str | None, name: str) -> None:
    """The last part of it, without what would hide the rest."""
    assert name_of(URL, disposition) == name


@pytest.mark.parametrize(
    "url", ["https://a.example", "https://a.example/", "https://a.example/x/", "https://a/.."]
)
def test_nothing_may_be_told_at_all(url: str) -> None:
    """A folder has no name for its file."""
    assert name_of(url) is None


@given(disposition=st.text(max_size=300))
def test_whatever_is_told_is_a_name_or_none(disposition: str) -> None:
    """Never a path, never longer than a name may be."""
    name = name_of("https://a.example/", f"attachment; filename={disposition}")
    assert name is None or ("/" not in name and "\\" not in name and 0 < len(name) <= 255)
