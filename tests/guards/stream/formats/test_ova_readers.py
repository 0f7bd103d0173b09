"""Kept appliances beside the readers of tar: what is accepted, all of them read alike."""

import hashlib
import shutil
import subprocess
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.guards.stream.formats.corpus import broken_rules, rows
from tests.guards.stream.formats.hostile_ova import OVAS, ovf
from tests.guards.stream.formats.hostile_tar import (
    DISK,
    GNU,
    NAME,
    OLD,
    USTAR,
    archive,
    head,
    long_name,
    member,
    pax,
    spoil,
)

Files = dict[str, str]
UNPACKERS = {"GNU tar": ("tar", "-xf"), "libarchive": ("bsdtar", "-xf")}
ACCEPTED = sorted({row.sample for row in rows() if row.sample in OVAS and row.is_accepted})


def digest(content: bytes) -> str:
    """Return what content is compared by."""
    return hashlib.sha256(content).hexdigest()


def by_python(file: Path) -> Files:
    """Read an archive as image services do, from its first byte to its last."""
    with tarfile.open(file, "r|", errorlevel=2) as opened:
        return {
            one.name.removeprefix("./"): digest(content.read())
            for one in opened
            if (content := opened.extractfile(one)) is not None
        }


def by_tool(command: tuple[str, ...], file: Path) -> Files:
    """Read an archive by unpacking it."""
    with TemporaryDirectory() as folder:
        subprocess.run([*command, file], cwd=folder, check=True, capture_output=True, timeout=60)
        return {path.name: digest(path.read_bytes()) for path in Path(folder).iterdir()}


def readings(packed: bytes) -> dict[str, Files]:
    """Return what each reader that is installed finds in an archive."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "x.ova"
        file.write_bytes(packed)
        found = {"Python": by_python(file)}
        tools = {name: command for name, command in UNPACKERS.items() if shutil.which(command[0])}
        return found | {name: by_tool(command, file) for name, command in tools.items()}


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_is_accepted_is_one_archive(name: str) -> None:
    """Python's tarfile, GNU tar and libarchive find the same files with the same content."""
    found = readings(OVAS[name]())
    assert all(files == found["Python"] for files in found.values()), found
    assert len(found["Python"]) >= 2


KEYS = st.sampled_from(
    ["path", "size", "comment", "mtime", "linkpath", "GNU.sparse.realsize", "SCHILY.realsize"]
)
NAMES = st.sampled_from([NAME, "x.vmdk", "", "a.ovf"])
SIZES = st.sampled_from([len(DISK), 0, 512, len(DISK) - 512, len(DISK) + 512])
RECORDS = st.dictionaries(KEYS, NAMES | SIZES.map(str), max_size=2)
EXTENDED = st.one_of(
    *(st.builds(pax, RECORDS, st.sampled_from([b"x", b"x", b"g"])), st.builds(long_name, NAMES)),
    *(st.builds(lambda name: long_name(name, b"K"), NAMES), st.just(b"")),
)
HEADS = st.builds(
    head,
    *(st.sampled_from([b"0", b"0", b"\0", b"7", b"1", b"S"]), NAMES, SIZES),
    magic=st.sampled_from([USTAR, GNU, OLD]),
    prefix=st.sampled_from([b"", b"", b"p", b"00000000001"]),
)
FIELDS = st.tuples(
    st.sampled_from([100, 108, 116, 124, 136, 148, 329, 337, 265, 500]),
    st.sampled_from(
        [
            b"x",
            b"        ",
            b"\xff" * 8,
            b"\x80" + bytes(7),
            b"12\0x",
            b"-1",
            b"0o7\0",
            b"1_0\0",
            b"\x000000644",
        ]
    ),
)


WHOLE = {"header": head(size=len(DISK)), "behind": b"", "field": None}


@settings(max_examples=150, deadline=None)
@example(before=long_name("x.vmdk"), more=pax({"path": NAME}), **WHOLE)
@example(before=long_name("x.vmdk"), more=long_name(NAME), **WHOLE)
@example(before=pax({"path": "x.vmdk"}), more=pax({"path": NAME}), **WHOLE)
@example(before=pax({"GNU.sparse.realsize": "512"}), more=b"", **WHOLE)
@example(before=pax({"SCHILY.realsize": "512"}), more=b"", **WHOLE)
@given(before=EXTENDED, more=EXTENDED, header=HEADS, behind=EXTENDED, field=st.none() | FIELDS)
def test_headers_at_will(
    before: bytes, more: bytes, header: bytes, behind: bytes, field: tuple[int, bytes] | None
) -> None:
    """However extended headers are strung together: accepted is only what all readers read alike."""
    content = DISK + bytes(-len(DISK) % 512)
    readme = member(b"text", name="readme")
    last = behind + (readme if field is None else spoil(readme, *field))
    packed = archive(before, more, header, content, last, descriptor=ovf())
    if not broken_rules(packed):
        found = readings(packed)
        assert all(files == found["Python"] for files in found.values()), found
        assert {"a.ovf", NAME} < set(found["Python"])
