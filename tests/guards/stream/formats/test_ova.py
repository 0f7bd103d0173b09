"""OVA: what an appliance may hold, and how its archive may be written."""

import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.guards.stream.formats.build import MIB, put, vmdk, vmdk_stream
from tests.guards.stream.formats.corpus import broken_rules, inspected
from tests.guards.stream.formats.hostile_ova import good_ova, ova, ovf, put_pax

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
    """A manifest may be empty."""
    assert not broken_rules(ova(("a.ovf", ovf()), ("a.mf", b""), ("disk.vmdk", vmdk())))


def test_no_parent_is_none() -> None:
    """An oVirt engine writes the reference to a parent also where there is none."""
    assert not broken_rules(good_ova(descriptor=ovf(more=' ovf:parentRef=""')))


def test_extended_header_may_be_empty() -> None:
    """An extended header without records changes nothing."""
    assert not broken_rules(put_pax(b""))


def test_long_extended_header_is_refused() -> None:
    """Headers are short; a long one is something else."""
    assert broken_rules(put_pax(b"10 a=bcdef\n" * 6_000)) == {"ova-header"}


@pytest.mark.parametrize("key", [b"path", b"linkpath", b"GNU.sparse.realsize", b"hdrcharset"])
def test_extended_header_may_not_rename(key: bytes) -> None:
    """What was checked is what an unpacker would write."""
    assert "ova-header" in broken_rules(put_pax(b"30 " + key + b"=0000\n"))


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
