"""The text that describes a VMDK: the one inside a sparse image, and the one that is a file of its own.

Specification: VMware, Virtual Disk Format 1.1, "The Descriptor File"; QEMU, block/vmdk.c, for what
    its probe takes for a descriptor.
Reads: at most 10,240 bytes behind the header; for a bare descriptor the first 512 bytes, and all of
    the head where it is text.
Structure: one createType, one extent line.
Safety: the type is one of those that keep everything in one file; the extent names a file beside
    it, never a path; no parent. Searches that mind case and those that do not have to agree, because
    readers differ. A bare descriptor is refused whatever it says.
"""

import re

from fetcher.guards.stream.formats.report import Kind, Report, Role

VMDK_TEXT = Kind(
    key="vmdk-descriptor", words="a VMDK descriptor", role=Role.DISK, disk_format="vmdk", qemu="vmdk"
)

STREAM = (
    "Convert it to one file: `qemu-img convert -O vmdk -o subformat=streamOptimized SOURCE.vmdk TARGET.vmdk`."
)
EXTENT_ALONE = (
    "Convert the whole disk by its descriptor, the .vmdk without a number: "
    "`qemu-img convert -O vmdk -o subformat=streamOptimized DESCRIPTOR.vmdk TARGET.vmdk`."
)
SELF_CONTAINED = ("monolithicSparse", "streamOptimized")
NAMED_TYPES = (
    *SELF_CONTAINED,
    "monolithicFlat",
    "twoGbMaxExtentSparse",
    "twoGbMaxExtentFlat",
    "fullDevice",
    "partitionedDevice",
    "vmfs",
    "vmfsSparse",
    "vmfsThin",
    "vmfsRaw",
    "vmfsRawDeviceMap",
    "vmfsRDM",
    "vmfsPassthroughRawDeviceMap",
    "vmfsRDMP",
    "seSparse",
    "custom",
)
PROBED_BYTES = 512
LEADING = re.compile(rb"(?:#[^\n]*\n|[ \t]*\r?\n)*")
VERSION = re.compile(rb"version=[123]\r?\n")
CREATE_TYPE = re.compile(rb'^[ \t]*createType[ \t]*=[ \t]*"([A-Za-z0-9]{1,40})"[ \t]*$', re.MULTILINE)
EXTENT = re.compile(
    rb'^[ \t]*(RW|RDONLY)[ \t]+(\d{1,15})[ \t]+SPARSE[ \t]+"([^"\r\n]{1,255})"[ \t]*$', re.MULTILINE
)
EXTENT_LIKE = re.compile(rb"^[ \t]*(?:RW|RDONLY|NOACCESS)\b", re.MULTILINE | re.IGNORECASE)
PARENT_CID = re.compile(rb"^[ \t]*parentCID[ \t]*=[ \t]*([0-9A-Fa-f]{1,8})[ \t]*$", re.MULTILINE)
NO_PARENT = b"ffffffff"
STARTS = (b"#", b" ", b"\t", b"\r", b"\n", b"version=")
"""Beginnings of a descriptor for qemu's probe, of which one has to be there, unless it is a text."""


def recognise(head: bytes) -> Report | None:
    """Find a descriptor that is a file of its own, by qemu's probe or by its key word in a text."""
    is_text = b"\0" not in head.rstrip(b"\0")  # Asked first: few heads are text, and the check is cheap.
    if not _is_probed(head) and not (is_text and b"createtype" in head.lower()):
        return None
    report = Report(kind=VMDK_TEXT, name="VMDK descriptor")
    kind = _type_of(head) or "unknown"
    report.facts["type"] = kind
    report.broke("vmdk-text-descriptor", f"VMDK of type {kind} names other files", STREAM)
    return report


def _is_probed(head: bytes) -> bool:
    """Answer whether qemu would take this for a descriptor."""
    start = head[:PROBED_BYTES].ljust(PROBED_BYTES, b"\0")
    leading = LEADING.match(start)
    return VERSION.match(start, leading.end() if leading else 0) is not None


def _type_of(text: bytes) -> str | None:
    """Return the createType, if it is one that is known; never what somebody wrote freely."""
    found = CREATE_TYPE.search(text.replace(b"\r\n", b"\n"))
    kind = found[1].decode("ascii") if found else ""
    return next((name for name in NAMED_TYPES if name.lower() == kind.lower()), None)


def check_descriptor(area: bytes, report: Report) -> None:
    """Check the descriptor inside a sparse image."""
    if not any(area):
        reason = "it is one extent of a disk, whose descriptor is another file"
        report.broke("vmdk-type", reason, EXTENT_ALONE)
        return
    text = area.split(b"\0", 1)[0].replace(b"\r\n", b"\n")
    kind = _type_of(text)
    report.facts["type"] = kind or "unknown"
    if kind:
        report.name = f"VMDK disk image, {kind}"
    report.require(
        len(CREATE_TYPE.findall(text)) == 1 and _agree(area, b"createType", 1) and kind is not None,
        "vmdk-type",
        "its descriptor does not give one known type",
        STREAM,
    )
    if kind is not None:
        report.require(kind in SELF_CONTAINED, "vmdk-type", f"VMDK of type {kind} names other files", STREAM)
    _check_extents(text, report)
    report.require(_agree(area, b"parentFileNameHint", 0), "vmdk-parent", "it names a parent", STREAM)
    parents = PARENT_CID.findall(text)
    report.require(
        [parent.lower() for parent in parents] == [NO_PARENT] and _agree(area, b"parentCID", 1),
        "vmdk-parent",
        "it needs a parent, or does not say that it has none",
        STREAM,
    )


def _check_extents(text: bytes, report: Report) -> None:
    extents = EXTENT.findall(text)
    report.require(
        len(extents) == 1 and len(EXTENT_LIKE.findall(text)) == 1,
        "vmdk-extent",
        "its descriptor does not have exactly one sparse extent",
        STREAM,
    )
    for _, sectors, name in extents:
        report.require(
            not any(mark in name for mark in (b"/", b"\\", b":")) and name not in (b".", b".."),
            "vmdk-extent-path",
            "its extent names a path",
            STREAM,
        )
        report.require(
            int(sectors) * 512 <= (report.virtual_bytes or 0),
            "vmdk-extent",
            "its extent is larger than its disk",
            STREAM,
        )


def _agree(area: bytes, word: bytes, count: int) -> bool:
    """Answer whether a key word occurs so often, with and without minding case."""
    return area.count(word) == count == area.lower().count(word.lower())
