"""VMDK's descriptors: a bare one is refused however it begins, as qemu would open it however it begins."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.guards.stream.formats import peers
from tests.guards.stream.formats.build import put, vmdk, vmdk_descriptor
from tests.guards.stream.formats.corpus import broken_rules, inspected

LINES = st.lists(st.sampled_from([b"# a comment\n", b"#\xff\xfe\n", b"  \n", b" \r\n", b"#\n"]), max_size=6)


@settings(max_examples=60, deadline=None)
@given(
    lines=LINES,
    version=st.sampled_from([b"1", b"2", b"3"]),
    end=st.sampled_from([b"\n", b"\r\n"]),
    rest=st.binary(max_size=600),
)
def test_what_qemu_probes_is_a_descriptor(
    lines: list[bytes], version: bytes, end: bytes, rest: bytes
) -> None:
    """Comments of any bytes and blank lines before the version change nothing, nor does what follows it."""
    text = b"".join(lines) + b"version=" + version + end + rest
    assert broken_rules(text) == {"vmdk-text-descriptor"}


@pytest.mark.skipif(not peers.has_qemu_img(), reason="Debian's package qemu-utils is not installed")
@pytest.mark.parametrize(
    "text",
    [
        b"version=1\n",
        b"version=4\n",
        b"x\nversion=1\n",
        b" version=1\n",
        b"#" * 511 + b"\nversion=1\n",
        b"#\0\nversion=2\r\n",
    ],
)
def test_probe_agrees_with_qemu(text: bytes, tmp_path: Path) -> None:
    """What qemu's probe takes for VMDK is one here: nothing that it would open passes as a raw disk."""
    file = tmp_path / "image"
    file.write_bytes(text.ljust(65_536, b"\0"))
    qemu_sees_raw = peers.qemu_img(file).format == "raw"
    assert qemu_sees_raw or inspected(file.read_bytes()).report().format == "vmdk-descriptor"


@pytest.mark.parametrize("name", ["a/b.vmdk", "..", "c:\\d", "nbd:x", "a\\b"])
def test_extents_name_no_path(name: str) -> None:
    """An extent is a name beside the image, whatever the separator."""
    assert "vmdk-extent-path" in broken_rules(vmdk(descriptor=vmdk_descriptor(name=name)))


def test_read_only_extents_pass() -> None:
    """VMware marks exported streams as read-only."""
    assert not broken_rules(vmdk(descriptor=vmdk_descriptor().replace(b"RW 8192", b"RDONLY 8192")))


def test_windows_newlines_pass() -> None:
    """A descriptor with the newlines of Windows is the same descriptor."""
    assert not broken_rules(vmdk(descriptor=vmdk_descriptor().replace(b"\n", b"\r\n")))


@pytest.mark.parametrize("line", [b"parentCid=ffffffff", b"parent=ffffffff00", b"parentCID=fffffffz"])
def test_no_parent_has_to_be_said(line: bytes) -> None:
    """A descriptor that does not say that it has no parent opens nowhere."""
    image = vmdk()
    assert not broken_rules(image)
    at = image.index(b"parentCID=ffffffff")
    assert broken_rules(put(image, at, line.ljust(18))) == {"vmdk-parent"}
