"""OVA: what an appliance may hold, and how its archive may be written."""

import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fetcher.guards.stream.formats.archives.ova_headers import MAX_LONG_NAME_BYTES, MAX_PAX_BYTES
from fetcher.parsers.archives.tar_members import MAX_OCTAL
from tests.guards.stream.formats.build import MIB, put, vmdk, vmdk_stream
from tests.guards.stream.formats.corpus import broken_rules, inspected
from tests.guards.stream.formats.hostile_ova import good_ova, ova, ovf
from tests.guards.stream.formats.hostile_tar import DISK, archive, head, long_name, member, pax, record

NAME = st.text(
    st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="/\\:"), min_size=1, max_size=60
)


@settings(max_examples=20, deadline=None)
@given(name=NAME.filter(lambda name: name.strip(".") and name.lower() != "a.ovf" and name != "b.mf"))
def test_plain_names_pass(name: str) -> None:
    """Any plain name will do for a member that nobody refers to."""
    archive = ova(("a.ovf", ovf()), ("disk.vmdk", vmdk_stream()), (name, b"text"))
    expected = {"ova-member-name"} if name == "disk.vmdk" else set()
    expected = {"ova-descriptor"} if name.lower().endswith(".ovf") else expected
    assert broken_rules(archive) == expected


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_all_tar_formats_pass(form: int) -> None:
    """Tools write OVA in any of tar's formats."""
    found = inspected(ova(("a.ovf", ovf()), ("disk.vmdk", vmdk_stream()), form=form)).report()
    assert found.is_safe
    assert found.facts == {"members": 2, "disks": 1}


def test_size_is_the_larger_of_both() -> None:
    """A descriptor that makes its disk small does not hide a large one, nor the other way round."""
    assert inspected(good_ova(descriptor=ovf(size="1"))).report().virtual_bytes == 4 * MIB
    assert inspected(good_ova(descriptor=ovf(size="9"))).report().virtual_bytes == 9 * MIB


def test_empty_members_pass() -> None:
    """A file beside the disk may be empty."""
    assert not broken_rules(ova(("a.ovf", ovf()), ("a.nvram", b""), ("disk.vmdk", vmdk())))


def test_no_parent_is_none() -> None:
    """An oVirt engine writes the reference to a parent also where there is none."""
    assert not broken_rules(good_ova(descriptor=ovf(more=' ovf:parentRef=""')))


def test_extended_header_may_be_empty() -> None:
    """An extended header without records changes nothing."""
    assert not broken_rules(archive(pax(b"") + member(DISK), descriptor=ovf()))


def test_extended_headers_have_a_length() -> None:
    """At the limit passes, one byte past it is refused; likewise a long name, and those for all members."""
    for kind in (b"x", b"g"):
        for length, expected in ((MAX_PAX_BYTES, set()), (MAX_PAX_BYTES + 1, {"ova-header"})):
            text = record("comment", "x" * (length - len("65536 comment=\n")))
            assert len(text) == length
            assert broken_rules(archive(pax(text, kind) + member(DISK), descriptor=ovf())) == expected
    for length, expected in ((MAX_LONG_NAME_BYTES - 1, set()), (MAX_LONG_NAME_BYTES, {"ova-header"})):
        parts = long_name("x" * length, b"K") + member(DISK)
        assert broken_rules(archive(parts, descriptor=ovf())) == expected


@pytest.mark.parametrize(("size", "is_refused"), [(MAX_OCTAL, True), (MAX_OCTAL + 1, False)])
def test_a_size_that_a_header_has_no_place_for(size: int, is_refused: bool) -> None:
    """From 8 GiB on a header says zero and the extended one the length; below it both say the same."""
    whole = archive(pax({"size": str(size)}) + head(size=0), descriptor=ovf(), end=b"")
    assert broken_rules(whole) == ({"ova-header"} if is_refused else {"beyond-end", "ova-end"})


def test_the_name_that_holds_decides_what_it_is() -> None:
    """A descriptor is one by the name in its extended header, whatever its own header says."""
    hidden = pax({"path": "readme"}) + archive(member(DISK), descriptor=ovf())
    assert inspected(hidden).report().format == "tar"
    malformed = pax(b"x") + archive(member(DISK), descriptor=ovf())
    assert broken_rules(malformed) == {"ova-header"}


@pytest.mark.parametrize(
    ("unit", "size", "expected"),
    [
        ("GigaBytes", "2", 2 << 30),
        ("MB", "9", 9 * MIB),
        ("byte * 2^20", "9", 9 * MIB),
        ("bytes", str(9 * MIB), 9 * MIB),
        ("KiB", "9216", 9 * MIB),
    ],
)
def test_units_are_those_of_the_unpacker(unit: str, size: str, expected: int) -> None:
    """A kept appliance is as large as an unpacked one."""
    found = inspected(good_ova(descriptor=ovf(size=size, unit=unit))).report()
    assert (found.is_safe, found.virtual_bytes) == (True, expected)


@pytest.mark.parametrize("length", [0, 1, 511, 65_536, 65_537, 3 * MIB])
def test_zeros_behind_the_end_are_read_to_the_last(length: int) -> None:
    """However many there are, something behind them is found."""
    assert not broken_rules(good_ova() + bytes(length))
    assert broken_rules(good_ova() + bytes(length) + b"x") == {"ova-end"}


def test_cut_descriptor_is_refused() -> None:
    """An archive that ends inside its first member is cut short."""
    assert "beyond-end" in broken_rules(good_ova()[:700])


def test_member_behind_the_end_is_refused() -> None:
    """An archive whose second member is missing is cut short."""
    assert broken_rules(good_ova()[:1_500]) & {"beyond-end", "ova-header", "ova-end"}


def test_file_s_first_member_decides() -> None:
    """Only with its descriptor first is an archive an appliance."""
    assert inspected(ova(("disk.vmdk", vmdk()), ("a.ovf", ovf()))).report().format == "tar"


def test_tar_header_needs_its_checksum() -> None:
    """A header whose checksum is no number is none."""
    assert inspected(put(good_ova(), 148, b"zzzzzzzz")).report().format == "unknown"
