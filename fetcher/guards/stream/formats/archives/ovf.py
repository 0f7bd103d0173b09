"""The descriptor of an OVA, in XML.

Specification: DMTF DSP0243 2.1, sections 7.1 (references) and 9.1 (disks), annex C (units).
Reads: the whole descriptor, at most 256 KiB with 16,384 elements and attributes.
Structure: XML, with the files and disks that it names.
Safety: no document type and so no entities; files named by their plain name, never by path or URL; no
    disk that is made from a parent.
"""

import re
from dataclasses import dataclass, field

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import ParseError, XMLParser

from fetcher.guards.stream.formats.report import Report

MOST_DESCRIPTOR_BYTES = 262_144
MOST_NAMES = 16_384  # Of elements and attributes: ten times what the largest appliances have.
PIECE_BYTES = 4_096
UNIT = re.compile(r"byte(?:\s*\*\s*(\d{1,2})\s*\^\s*(\d{1,2}))?")
NOT_PLAIN = re.compile(r"[/\\:]|^\.\.?$|^$")
EXPORT = "Export the appliance anew, or unpack it and submit the disk image inside."


@dataclass
class Descriptor:
    """The parts of a descriptor that count.

    Args:
        files: The names of the files that it refers to.
        disk_bytes: What its disks hold together.
        disks: How many there are.
    """

    files: set[str] = field(default_factory=set)
    disk_bytes: int = 0
    disks: int = 0


def read_descriptor(text: bytes, report: Report) -> Descriptor:
    """Read a descriptor and check what it refers to."""
    descriptor = Descriptor()
    parser = XMLParser(target=_Elements(descriptor, report), forbid_dtd=True)
    try:
        for at in range(0, len(text), PIECE_BYTES):  # Other threads get their turn between two pieces.
            parser.feed(text[at : at + PIECE_BYTES])
        parser.close()
    except (ParseError, DefusedXmlException, ValueError, LookupError):
        report.broke("ova-descriptor", "its descriptor is not the XML that it should be", EXPORT)
    return descriptor


class _Elements:
    """Takes the elements of a descriptor as they are parsed, and makes no tree of them."""

    def __init__(self, descriptor: Descriptor, report: Report) -> None:
        self._descriptor = descriptor
        self._report = report
        self._seen = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """Note an element.

        Raises:
            ValueError: They are too many.
        """
        self._seen += 1 + len(attributes)
        if self._seen > MOST_NAMES:
            raise ValueError("too many elements")
        name = tag.rpartition("}")[2]
        if name == "File":
            _note_file(_local(attributes), self._descriptor, self._report)
        elif name == "Disk":
            _note_disk(_local(attributes), self._descriptor, self._report)

    def close(self) -> None:
        """Pass: what counts was noted already."""


def _local(attributes: dict[str, str]) -> dict[str, str]:
    return {name.rpartition("}")[2]: value for name, value in attributes.items()}


def _note_file(attributes: dict[str, str], descriptor: Descriptor, report: Report) -> None:
    name = attributes.get("href", "")
    report.require(
        NOT_PLAIN.search(name) is None, "ova-reference", "its descriptor names a file by path or URL", EXPORT
    )
    descriptor.files.add(name)


def _note_disk(attributes: dict[str, str], descriptor: Descriptor, report: Report) -> None:
    has_parent = bool(attributes.get("parentRef"))  # oVirt writes an empty one where there is none.
    report.require(not has_parent, "ova-parent", "one of its disks has a parent", EXPORT)
    descriptor.disks += 1
    capacity, unit = attributes.get("capacity", ""), attributes.get("capacityAllocationUnits", "byte")
    factor = _factor(unit)
    if capacity.isascii() and capacity.isdigit() and len(capacity) <= 19 and factor:
        descriptor.disk_bytes += int(capacity) * factor
        report.require(descriptor.disk_bytes < 1 << 62, "ova-capacity", "its disks are too large", EXPORT)
    elif not capacity.startswith("${"):
        report.broke("ova-capacity", "the capacity of a disk is not a number", EXPORT)


def _factor(unit: str) -> int:
    """Return the bytes of a unit such as `byte * 2^30`; 0 where it is none."""
    found = UNIT.fullmatch(unit.strip())
    if found is None:
        return 0
    base, exponent = found[1], found[2]
    return int(int(base) ** int(exponent)) if base else 1
