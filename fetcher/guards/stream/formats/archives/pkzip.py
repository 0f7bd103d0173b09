"""ZIP with one member.

Specification: PKWARE, APPNOTE 6.3 section 4.3.
Reads: the local header at the beginning; what follows the first member; the directory and the end records,
    in the last 65 KiB. What the member unpacks to is judged in peek.
Structure: one member and nothing else: local header, content, data descriptor if there is one, directory
    and end records follow one another without a gap, from the first byte to the last; behind them, zeros that
    fill a block, no more than readers look through.
Safety: some readers go by the local header and some by the directory, so both have to say the same of the
    name, the sizes, the checksum and the method; stored or deflated, because not every reader knows more;
    not encrypted; a regular file, because a reader that unpacks makes a link of what says to be one, which
    leads where its content says. An end record behind a raw disk or a disc makes the file two things at once.
"""

from functools import partial

from fetcher.guards.stream.formats.archives.zip_records import (
    CENTRAL_MAGIC,
    ENCRYPTED,
    END_MAGIC,
    FAR,
    HAS_DESCRIPTOR,
    LOCAL_MAGIC,
    MASKED,
    NEEDS_ZIP64,
    PATCHED,
    STRONG,
    Directory,
    Entry,
    is_descriptor_of,
    read_central,
    read_end,
    read_local,
)
from fetcher.guards.stream.formats.report import CUT_SHORT, End, Kind, Report, Role, Steps, Window

ZIP = Kind(key="zip", words="a ZIP archive", role=Role.PACKED)

STARTS = (LOCAL_MAGIC, END_MAGIC, b"PK\7\x08")
STORED, DEFLATED = 0, 8
UNSAID, REGULAR_FILE = 0, 0o10  # As the upper four bits of a mode of Unix.
METHODS = {
    1: "shrink", 6: "implode", 9: "deflate64", 12: "bzip2", 14: "lzma", 93: "zstd", 95: "xz", 98: "ppmd"
}  # fmt: skip
ALONE = "Pack the disk image alone: `zip -j ARCHIVE.zip IMAGE`."
REPACK = (
    "Pack the disk image anew with a usual tool: `zip -j ARCHIVE.zip IMAGE`, or better with `xz` or `zstd`."
)


def recognise(head: bytes) -> Report | None:
    """Find ZIP by what its first record may be."""
    if head[:4] not in STARTS:
        return None
    report = Report(kind=ZIP, name="ZIP archive")
    report.require(head[:4] != END_MAGIC, "packed-empty", "there is nothing inside", CUT_SHORT)
    local = read_local(head)
    if local is None:
        report.broke("zip-header", "it does not begin with the header of a member", REPACK)
        return report
    _check_member(local, report)
    if not report.findings:
        report.follow = partial(_follow, report, local)
        report.close = partial(_close, report, local)
    return report


def recognise_end(end: End) -> Report | None:
    """Find ZIP by the record at the end, for files that begin as something else."""
    at = end.tail.rfind(END_MAGIC)
    while at >= 0:
        if int.from_bytes(end.tail[at + 20 : at + 22], "little") == len(end.tail) - at - 22:
            return Report(kind=ZIP, name="ZIP archive")
        at = end.tail.rfind(END_MAGIC, 0, at)
    return None


def _check_member(local: Entry, report: Report) -> None:
    report.require(not local.is_folder, "zip-members", "it holds a folder, not a disk image alone", ALONE)
    hidden = local.flags & (ENCRYPTED | STRONG | MASKED | PATCHED)
    report.require(not hidden, "zip-encrypted", "it is encrypted", "Pack the image without a password.")
    if local.method not in (STORED, DEFLATED):
        method = METHODS.get(local.method, f"number {local.method}")
        report.broke("zip-method", f"it is packed by a method that not every reader knows: {method}", REPACK)
    report.require(local.is_sound, "zip-header", "the header of its member is damaged", REPACK)
    if local.flags & HAS_DESCRIPTOR:
        report.require(
            local.method == DEFLATED,
            "zip-header",
            "nothing tells where its stored member ends",
            REPACK,
        )


def _follow(report: Report, local: Entry) -> Steps:
    """Look at what follows the first member, where its header states how long it is."""
    if local.flags & HAS_DESCRIPTOR and not local.packed:
        return
    if local.flags & HAS_DESCRIPTOR and local.packed == FAR:
        return
    report.reaches(local.length + local.packed, "member")
    following = yield Window(local.length + local.packed, 4)
    if local.flags & HAS_DESCRIPTOR or not following:
        return
    report.require(following != LOCAL_MAGIC, "zip-members", "it holds several members", ALONE)
    is_directory = following in (LOCAL_MAGIC, CENTRAL_MAGIC)
    report.require(is_directory, "zip-layout", "something lies between its member and its directory", REPACK)


def _close(report: Report, local: Entry, end: End) -> None:
    """Hold the directory against the local header, and the layout against both."""
    directory = read_end(end.tail, end.total)
    if directory is None:
        report.broke("zip-end", "it does not end with its directory", CUT_SHORT)
        return
    count = f"it holds {directory.entries:,} members"
    report.require(directory.entries == 1, "zip-members", count, ALONE)
    before = end.total - len(end.tail)
    central = read_central(end.tail[directory.offset - before :]) if directory.offset >= before else None
    if report.findings:
        return
    if central is None:
        report.broke("zip-directory", "its directory is not where or what it has to be", REPACK)
        return
    is_file = central.file_type in (UNSAID, REGULAR_FILE)
    report.require(is_file, "zip-member-type", "its member is no regular file", REPACK)
    _check_layout(report, directory, central, local)
    _check_agreement(report, central, local)
    between = end.tail[max(local.length + central.packed - before, 0) : directory.offset - before]
    has_descriptor = bool(local.flags & HAS_DESCRIPTOR)
    gap = directory.offset - local.length - central.packed
    is_adjacent = is_descriptor_of(between, central) and len(between) == gap if has_descriptor else gap == 0
    report.require(is_adjacent, "zip-layout", "something lies between its member and its directory", REPACK)
    report.facts["unpacked_bytes"] = central.unpacked


def _check_layout(report: Report, directory: Directory, central: Entry, local: Entry) -> None:
    tight = directory.offset + directory.size == directory.end and central.length == directory.size
    report.require(tight, "zip-layout", "something lies beside its directory", REPACK)
    stored = central.method == STORED and central.packed != central.unpacked
    report.require(
        central.offset == 0 and central.is_sound and not stored and local.is_sound,
        "zip-directory",
        "its directory is not where or what it has to be",
        REPACK,
    )


def _check_agreement(report: Report, central: Entry, local: Entry) -> None:
    """Check that no reader sees another member than the next one does."""
    same = (central.flags, central.method, central.stamp, central.name) == (
        local.flags,
        local.method,
        local.stamp,
        local.name,
    )
    is_far = max(central.packed, central.unpacked) >= FAR  # Which a stream's local header could not know.
    versions = central.version == local.version or (is_far and central.version == NEEDS_ZIP64)
    is_left_out = bool(local.flags & HAS_DESCRIPTOR)
    numbers = zip(
        (local.checksum, local.packed, local.unpacked),
        (central.checksum, central.packed, central.unpacked),
        strict=True,
    )
    sizes = all(said == real or (is_left_out and said in (0, FAR)) for said, real in numbers)
    report.require(
        same and versions and sizes,
        "zip-headers-differ",
        "its two headers differ, so that readers would find different things in it",
        REPACK,
    )
