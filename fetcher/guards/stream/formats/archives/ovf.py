"""The descriptor of an OVA, in XML.

Specification: DMTF DSP0243 2.1, sections 7.1 (references) and 9.1 (disks), annex C (units).
Reads: the whole descriptor, at most 256 KiB with 16,384 elements and attributes.
Structure: XML, with the files and disks that it names.
Safety: no document type and so no entities; files named by their plain name, never by path or URL; no
    disk that is made from a parent.
"""

import re
from dataclasses import dataclass, field
from urllib.parse import unquote

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import ParseError, XMLParser

from fetcher.guards.stream.formats.report import Report
from fetcher.parsers.archives.units import MAX_BYTES, read_amount

MOST_DESCRIPTOR_BYTES = 262_144
MOST_NAMES = 16_384  # Of elements and attributes: ten times what the largest appliances have.
PIECE_BYTES = 4_096
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
    plain = NOT_PLAIN.search(name) is None and NOT_PLAIN.search(unquote(name)) is None
    report.require(plain, "ova-reference", "its descriptor names a file by path or URL", EXPORT)
    descriptor.files.add(name)


def _note_disk(attributes: dict[str, str], descriptor: Descriptor, report: Report) -> None:
    has_parent = bool(attributes.get("parentRef"))  # oVirt writes an empty one where there is none.
    report.require(not has_parent, "ova-parent", "one of its disks has a parent", EXPORT)
    descriptor.disks += 1
    capacity, unit = attributes.get("capacity", ""), attributes.get("capacityAllocationUnits", "byte")
    amount = read_amount(capacity, unit)
    if amount is not None:
        descriptor.disk_bytes += amount
        report.require(descriptor.disk_bytes < MAX_BYTES, "ova-capacity", "its disks are too large", EXPORT)
    elif not capacity.startswith("${"):
        reason = "the capacity of a disk is not a number with a known unit"
        report.broke("ova-capacity", reason, EXPORT)
