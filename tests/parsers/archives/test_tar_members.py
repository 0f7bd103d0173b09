"""Members of a tar: which of their headers holds, and what else readers may take for it."""

import tarfile
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.parsers.archives.tar_headers import read_header, read_number, read_records
from fetcher.parsers.archives.tar_members import MAX_OCTAL, Extensions, Member, first_name
from tests.guards.stream.formats.hostile_tar import BLOCK, GNU, USTAR, head, long_name, pax, record, spoil


def read(*extended: bytes, header: bytes) -> Member:
    """Read a member behind extended headers."""
    extensions = Extensions()
    for packed in extended:
        found = read_header(packed[:BLOCK])
        assert found is not None
        assert found.size is not None
        extensions.take(found, packed[BLOCK : BLOCK + found.size])
    last = read_header(header)
    assert last is not None
    member = extensions.member(last)
    assert not extensions.are_pending
    return member


@pytest.mark.parametrize(
    ("extended", "name", "names"),
    [
        ((), "own", {"own"}),
        ((long_name("long"),), "long", {"long"}),
        ((pax({"path": "pax"}),), "pax", {"pax"}),
        ((pax({"path": "all"}, b"g"),), "all", {"all"}),
        ((pax({"path": "all"}, b"g"), pax({"path": "pax"})), "pax", {"pax"}),
        ((pax({"path": "pax"}), pax({"path": "all"}, b"g")), "pax", {"pax"}),
        ((long_name("long"), pax({"path": "pax"})), "pax", {"pax", "long"}),
        ((pax({"path": "pax"}), long_name("long")), "pax", {"pax", "long"}),
        ((pax({"path": "x", "GNU.sparse.name": "holes"}),), "holes", {"x", "holes"}),
        ((pax({"path": ""}),), "own", {""}),
    ],
)
def test_which_name_holds(extended: tuple[bytes, ...], name: str, names: set[str]) -> None:
    """That of pax, of this member before that of all, then GNU's, then the header's own."""
    member = read(*extended, header=head(name="own"))
    assert (member.name, member.names) == (name, names)


@pytest.mark.parametrize(("magic", "name"), [(USTAR, "p/own"), (GNU, "own"), (bytes(8), "own")])
def test_a_prefix_is_one_in_ustar(magic: bytes, name: str) -> None:
    """Elsewhere those bytes are something else, which Python's tarfile takes for a prefix all the same."""
    member = read(header=head(name="own", magic=magic, prefix=b"p"))
    assert (member.name, member.names) == (name, {name, "p/own"})
    with tarfile.open(fileobj=BytesIO(head(name="own", magic=magic, prefix=b"p") + bytes(1024))) as archive:
        assert archive.getnames() == ["p/own"]


@pytest.mark.parametrize(
    ("said", "own", "size", "sizes"),
    [
        ("7", 7, 7, {7}),
        ("7", 0, 7, {0, 7}),
        (str(MAX_OCTAL), 0, MAX_OCTAL, {0, MAX_OCTAL}),
        (str(MAX_OCTAL + 1), 0, MAX_OCTAL + 1, {MAX_OCTAL + 1}),
        (str(MAX_OCTAL + 1), 7, MAX_OCTAL + 1, {7, MAX_OCTAL + 1}),
        ("", 7, None, {7}),
        ("1_0", 8, None, {8}),
        ("\u0664", 4, None, {4}),
    ],
)
def test_which_size_holds(said: str, own: int, size: int | None, sizes: set[int]) -> None:
    """That of pax; a header says zero only where it has no room for it."""
    member = read(pax({"size": said}), header=head(size=own))
    assert (member.size, member.sizes) == (size, sizes)


def test_what_speaks_of_one_member_is_forgotten_behind_it() -> None:
    """What speaks of all stays."""
    extensions = Extensions()
    for packed in (pax({"comment": "all"}, b"g"), pax({"path": "pax"}), long_name("target", b"K")):
        found = read_header(packed[:BLOCK])
        assert found is not None
        extensions.take(found, packed[BLOCK : BLOCK + (found.size or 0)])
    own = read_header(head(name="own"))
    assert own is not None
    first, second = extensions.member(own), extensions.member(own)
    assert (first.name, first.target, first.shared) == ("pax", "target", {"comment"})
    assert (second.name, second.target, second.records) == ("own", "", {"comment": "all"})


@pytest.mark.parametrize("kind", [b"x", b"g", b"L", b"K"])
def test_two_headers_of_one_kind_are_told(kind: bytes) -> None:
    """Readers take the first or the last of them."""
    header = long_name("x", kind) if kind in b"LK" else pax({"comment": "x"}, kind)
    assert read(header, header, header=head()).is_repeated
    assert not read(header, header=head()).is_repeated


@pytest.mark.parametrize(
    "field",
    [b"rw-r--r-", b"12\x003\0\0\0\0", b"        ", b"-1\0\0\0\0\0\0", b"8\0\0\0\0\0\0\0", b"\x00000644\0"],
)
def test_numbers_beside_are_told(field: bytes) -> None:
    """One that is none ends the archive for Python's tarfile, or is complained of by others."""
    packed = spoil(head(), 100, field)
    found = read_header(packed)
    assert found is not None
    assert not found.has_side_numbers
    sound = read_header(head())
    assert sound is not None
    assert sound.has_side_numbers


@given(st.binary(min_size=12, max_size=12))
def test_numbers_are_what_tarfile_reads(field: bytes) -> None:
    """A number that is read is the one that Python's tarfile reads."""
    number = read_number(field)
    if number is not None:
        assert number == tarfile.nti(field)  # type: ignore[attr-defined] # not in its stubs


TEXT = st.characters(codec="utf-8")
KEY = st.characters(codec="utf-8", exclude_characters="=\0")


@given(st.dictionaries(st.text(KEY, min_size=1), st.text(TEXT)))
def test_records_come_back(records: dict[str, str]) -> None:
    """Whatever their keys and values hold, they are read as they were written."""
    records = {key: value for key, value in records.items() if not key.startswith("GNU.sparse.")}
    assert read_records(b"".join(record(*pair) for pair in records.items())) == records


@pytest.mark.parametrize(
    "text", [b"x", b"5 a=b", b"9 a=b\n", b"4 =\n", b"7 a\0b=\n", b"0 a=b\n", b" 6 a=b\n", b"\0"]
)
def test_malformed_records(text: bytes) -> None:
    """Readers go on behind them, or stop."""
    with pytest.raises(ValueError, match="malformed"):
        read_records(text)


def test_first_name() -> None:
    """It is that which holds, as far as the beginning tells."""
    own = head(name="own")
    assert first_name(own) == "own"
    assert first_name(pax({"path": "pax"}) + own) == "pax"
    assert first_name(pax({"comment": "x"}, b"g") + long_name("long") + own) == "long"
    assert first_name(pax(b"x") + own) == "own"
    assert first_name(pax({"path": "pax"})) == ""
    assert first_name(pax({"comment": "x" * 70_000})[:65_536]) == ""
    assert first_name(pax({"comment": "x" * 40_000}) + own) == "own"
    assert first_name(pax({"comment": "x" * 8_100, "path": "pax"}) + own) == "pax"
    assert first_name(pax({"comment": "x" * 8_192, "path": "pax"}) + own) == ""
    assert first_name(bytes(1024)) is None


def stored(name: str, size: int) -> bytes:
    """Make a member with content of a size, up to the next header."""
    return head(name=name, size=b"%011o\0" % size) + bytes(-(-size // BLOCK) * BLOCK)


@pytest.mark.parametrize("sizes", [(0,), (1,), (512, 513), (0, 163, 4_096, 20_000)])
def test_first_name_is_behind_what_desktops_leave(sizes: tuple[int, ...]) -> None:
    """However many hidden members of whatever sizes come first, each with extended headers or without."""
    hidden = b"".join(stored(f"._{number}.ovf", size) for number, size in enumerate(sizes))
    own = head(name="own")
    assert first_name(hidden + own) == "own"
    assert first_name(hidden + pax({"path": "pax"}) + own) == "pax"
    named = b"".join(pax({"path": f"x/._{number}"}) + stored("y", size) for number, size in enumerate(sizes))
    assert first_name(named + own) == "own"
    assert first_name(long_name("__MACOSX/long") + stored("y", 700) + hidden + own) == "own"
    assert first_name(hidden + b"x" * BLOCK) == first_name(hidden) == ""


def test_first_name_needs_the_whole_of_what_is_hidden() -> None:
    """A hidden member that goes beyond what is there leaves the name open; so do names without an end."""
    assert first_name((stored("._a", 70_000) + head(name="own"))[:65_536]) == ""
    many = (pax({"path": "._" + "a" * 900}) + stored("y", 1)) * 10
    assert first_name(many[: 3 * 2_560] + head(name="own")) == "own"
    assert first_name(many + head(name="own")) == ""
    assert first_name(b"") is None
