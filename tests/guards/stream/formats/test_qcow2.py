"""QCOW2: valid headers pass, and any one field out of its range is refused by its rule."""

import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.guards.stream.formats.build import patch, put, qcow2
from tests.guards.stream.formats.corpus import broken_rules, inspected
from tests.guards.stream.formats.spoil import Field, ids, outside, spoil
from tests.unpack.making import run

IMAGE = qcow2(bits=9, size=65_536)
CLUSTER = 512
UNALIGNED = st.integers(1, 1 << 50).filter(lambda number: number % CLUSTER)
FIELDS = (
    Field("version", 4, ">I", outside(32, 1, 2, 3), "qcow2-version"),
    Field("backing_file_offset", 8, ">Q", outside(64, 0), "qcow2-backing-file"),
    Field("backing_file_size", 16, ">I", outside(32, 0), "qcow2-backing-file"),
    Field("cluster_bits", 20, ">I", outside(32, *range(9, 22)), "qcow2-cluster"),
    Field("size", 24, ">Q", st.integers(131_073, (1 << 64) - 1), "qcow2-l1"),
    Field("crypt_method", 32, ">I", outside(32, 0), "qcow2-encrypted"),
    Field("l1_size", 36, ">I", st.integers(0, 1) | st.integers((4 << 20) + 1, (1 << 32) - 1), "qcow2-l1"),
    Field("l1_table_offset", 40, ">Q", UNALIGNED, "qcow2-table-place"),
    Field("refcount_table_offset", 48, ">Q", UNALIGNED, "qcow2-table-place"),
    Field("refcount_table_clusters", 56, ">I", st.integers(16_385, (1 << 32) - 1), "qcow2-refcount"),
    Field("nb_snapshots", 60, ">I", st.integers(65_537, (1 << 32) - 1), "qcow2-snapshots"),
    Field("place of no snapshots", 64, ">Q", UNALIGNED, "qcow2-table-place"),
    Field("length of the last extension", 116, ">I", st.integers(393, (1 << 32) - 1), "qcow2-extension"),
    Field("external data", 72, ">Q", st.integers(0, (1 << 64) - 1).map(lambda n: n | 4), "qcow2-data-file"),
    Field(
        "corrupt",
        72,
        ">Q",
        st.integers(0, (1 << 64) - 1).map(lambda n: n | 2),
        "qcow2-corrupt",
    ),
    Field("unknown features", 72, ">Q", st.integers(5, 63).map(lambda bit: 1 << bit), "qcow2-feature"),
    Field("refcount_order", 96, ">I", outside(32, *range(7)), "qcow2-refcount"),
    Field("header_length", 100, ">I", outside(32, *range(104, 513, 8)), "qcow2-header"),
)


@pytest.mark.parametrize("field", FIELDS, ids=ids)
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_spoilt_field_is_refused(field: Field, data: st.DataObject) -> None:
    """One field out of range is enough."""
    assert field.rule in broken_rules(spoil(IMAGE, field, data.draw(field.bad)))


@settings(max_examples=25, deadline=None)
@given(bits=st.integers(9, 14), size=st.integers(1, 1 << 16), version=st.sampled_from([2, 3]))
def test_valid_images_pass(bits: int, size: int, version: int) -> None:
    """Whatever the cluster size, the disk's size and the version, a valid image breaks no rule."""
    found = inspected(qcow2(bits=bits, size=size, version=version)).report()
    assert found.is_safe
    assert (found.virtual_bytes, found.facts["cluster_bytes"]) == (size, 1 << bits)


@settings(max_examples=25, deadline=None)
@given(cut=st.integers(72, len(IMAGE) - 1))
def test_cut_images_are_refused(cut: int) -> None:
    """A file that ends before its last cluster begins shows itself to be cut short."""
    assert bool(broken_rules(IMAGE[:cut])) == (cut <= len(IMAGE) - CLUSTER)


def test_extensions_are_walked() -> None:
    """Known and unknown extensions pass as long as they end where they must."""
    extension = struct.pack(">II", 0x6803F857, 5) + b"12345678"
    assert not broken_rules(put(IMAGE, 112, extension))


def test_extensions_may_fill_the_cluster() -> None:
    """Extensions need no end mark where the cluster ends."""
    filling = struct.pack(">II", 0x12345678, CLUSTER - 112 - 8)
    assert not broken_rules(put(IMAGE, 112, filling))


def test_extensions_end_in_the_head() -> None:
    """In a large cluster the list has to end where it can be seen, or what follows could be anything."""
    large = qcow2(bits=17)
    filling = struct.pack(">II", 0x12345678, 65_536 - 112 - 8)
    assert broken_rules(put(large, 112, filling)) == {"qcow2-extension"}


def test_dirty_images_pass_with_a_note() -> None:
    """A dirty image can be opened, but the note tells that it was in use."""
    assert inspected(patch(IMAGE, 72, ">Q", 1)).report().facts["dirty"] is True


def test_snapshots_are_counted() -> None:
    """Snapshots are told, and their table has to be inside the file."""
    image = patch(IMAGE, 60, ">IQ", 2, 5 * CLUSTER)
    assert inspected(image).report().facts["snapshots"] == 2


@pytest.mark.parametrize(
    ("offset", "value", "rule"),
    [
        (88, 1, None),
        (88, 2, "qcow2-data-file"),
        (88, 3, "qcow2-data-file"),
        (64, 0, None),
        (64, 1 << 62, None),
        (64, 1 << 63, "qcow2-table-place"),
    ],
)
def test_what_qemu_does_not_open(offset: int, value: int, rule: str | None) -> None:
    """A data file that is raw is one all the same, and a table of no snapshots lies where one may be."""
    assert broken_rules(patch(IMAGE, offset, ">Q", value)) == ({rule} if rule else set())


def test_the_advice_on_encryption_helps(tmp_path: Path) -> None:
    """Whoever follows it, word by word, has an image that is accepted."""
    (tmp_path / "PASSPHRASE").write_text("open sesame")
    options = "encrypt.format=luks,encrypt.key-secret=key,encrypt.iter-time=10"
    secret = ["--object", "secret,id=key,file=PASSPHRASE"]
    run("qemu-img", "create", "-q", *secret, "-f", "qcow2", "-o", options, "SOURCE", "1M", cwd=tmp_path)
    findings = inspected((tmp_path / "SOURCE").read_bytes()).report().findings
    assert {finding.rule for finding in findings} == {"qcow2-encrypted"}
    command = findings[0].hint.split("`")[1]
    run(*command.split(), cwd=tmp_path)
    assert inspected((tmp_path / "TARGET").read_bytes()).report().is_safe
