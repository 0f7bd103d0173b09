"""The references of an appliance's descriptor: its files and its disks.

Specification: DMTF DSP0243 2.1, sections 7.1 (references) and 9.1 (disks), annex C (units).
Reads: at most 16,384 elements and attributes: ten times what the largest appliances have. No tree is made of
    them, and no document type is read, so that there are no entities.
"""

import re
from dataclasses import dataclass, field
from urllib.parse import unquote

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import ParseError, XMLParser

from fetcher.parsers.archives.units import read_amount

MAX_DESCRIPTOR_BYTES = 1 << 20
MAX_NAMES = 16_384  # Of elements and attributes.
MAX_NAME_CHARACTERS = 1_000
MAX_ENTRIES = 1_024  # Of files, and of disks: as many as an archive may have members.
PIECE_BYTES = 65_536
"""At once: other threads get their turn between two pieces, and one that splits a name is read twice."""

NOT_PLAIN = re.compile(r"[/\\:\x00-\x1f]|^\.\.?$|^$")


class BrokenDescriptor(ValueError):
    """A descriptor that breaks a rule.

    Args:
        rule: Stable, for programs: descriptor, reference, chunks, compression, parent or capacity.
        reason: Completes "The file is refused: ...".
    """

    def __init__(self, rule: str, reason: str) -> None:
        super().__init__(reason)
        self.rule = rule
        self.reason = reason


@dataclass(frozen=True, kw_only=True)
class OvfDisk:
    """One disk of an appliance.

    Args:
        id: What the hardware calls it by.
        name: The member that holds it.
        capacity_bytes: None where the descriptor leaves it to the deployment.
        is_gzip: Whether the member is compressed as a whole.
    """

    id: str
    name: str
    capacity_bytes: int | None
    is_gzip: bool


@dataclass(kw_only=True)
class References:
    """The references of one descriptor.

    Args:
        files: The attributes of each file, by its id.
        disks: Those that have a file, by its name.
        empty_disks: How many have none, and are made at deployment.
        capacity_bytes: Of all disks together.
    """

    files: dict[str, dict[str, str]] = field(default_factory=dict)
    disks: dict[str, OvfDisk] = field(default_factory=dict)
    empty_disks: int = 0
    capacity_bytes: int = 0

    @property
    def names(self) -> frozenset[str]:
        """Return the names of all files."""
        return frozenset(file["href"] for file in self.files.values())


class ReferencesReader:
    """Reads a descriptor that comes in pieces."""

    def __init__(self) -> None:
        self._elements = _Elements()
        self._parser = XMLParser(target=self._elements, forbid_dtd=True)

    def feed(self, piece: bytes) -> None:
        """Read the next bytes, best `PIECE_BYTES` of them.

        Raises:
            BrokenDescriptor: They are not the XML that they should be.
        """
        try:
            self._parser.feed(piece)
        except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
            raise _no_xml() from error

    def close(self) -> References:
        """Return what it refers to.

        Raises:
            BrokenDescriptor: It ends too early, or breaks a rule.
        """
        try:
            self._parser.close()
        except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
            raise _no_xml() from error
        if self._elements.root != "Envelope":
            raise BrokenDescriptor("descriptor", "its descriptor is no OVF envelope")
        found = References()
        for file in self._elements.files:
            _note_file(file, found)
        for disk in self._elements.disks:
            _note_disk(disk, found)
        return found


def read_references(text: bytes) -> References:
    """Read a whole descriptor.

    Raises:
        BrokenDescriptor: It is not the XML that it should be, or breaks a rule.
    """
    reader = ReferencesReader()
    for at in range(0, len(text), PIECE_BYTES):
        reader.feed(text[at : at + PIECE_BYTES])
    return reader.close()


class _Elements:
    """Takes elements as they are parsed, and keeps the attributes of those that count."""

    def __init__(self) -> None:
        self.root = ""
        self.files: list[dict[str, str]] = []
        self.disks: list[dict[str, str]] = []
        self._seen = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """Note an element.

        Raises:
            ValueError: They are too many.
        """
        self._seen += 1 + len(attributes)
        if self._seen > MAX_NAMES:
            raise ValueError("too many elements")
        name = tag.rpartition("}")[2]
        self.root = self.root or name
        if name in ("File", "Disk"):
            kept = {key.rpartition("}")[2]: value for key, value in attributes.items()}
            (self.files if name == "File" else self.disks).append(kept)

    def close(self) -> None:
        """Pass: what counts was noted already."""


def _note_file(file: dict[str, str], found: References) -> None:
    name, key = file.get("href", ""), file.get("id", "")
    is_plain = len(name) <= MAX_NAME_CHARACTERS and not NOT_PLAIN.search(name)
    if not is_plain or NOT_PLAIN.search(unquote(name)):
        raise BrokenDescriptor("reference", "its descriptor names a file by path or URL")
    if "chunkSize" in file:
        raise BrokenDescriptor("chunks", "a file is split into chunks")
    if file.get("compression", "identity") not in {"identity", "gzip", ""}:
        raise BrokenDescriptor("compression", "a file is compressed in another way than gzip")
    if key in found.files or len(found.files) >= MAX_ENTRIES:
        raise BrokenDescriptor("reference", "two files have the same id, or there are too many")
    found.files[key] = file | {"href": name}


def _note_disk(disk: dict[str, str], found: References) -> None:
    if disk.get("parentRef"):  # oVirt writes an empty one where there is none.
        raise BrokenDescriptor("parent", "one of its disks has a parent")
    capacity = disk.get("capacity", "")
    amount = read_amount(capacity, disk.get("capacityAllocationUnits", "byte"))
    found.capacity_bytes += amount or 0
    reference = disk.get("fileRef")
    if reference is None:
        found.empty_disks += 1
        return
    file = found.files.get(reference)
    if file is None:
        raise BrokenDescriptor("reference", "a disk refers to a file that the descriptor does not list")
    if amount is None and not capacity.startswith("${"):
        raise BrokenDescriptor("capacity", "the capacity of a disk is not a number with a known unit")
    name = file["href"]
    if name in found.disks or len(found.disks) + found.empty_disks > MAX_ENTRIES:
        raise BrokenDescriptor("reference", "two disks are in one file, or there are too many")
    is_gzip = file.get("compression") == "gzip"
    key = disk.get("diskId", "")
    found.disks[name] = OvfDisk(id=key, name=name, capacity_bytes=amount, is_gzip=is_gzip)


def _no_xml() -> BrokenDescriptor:
    return BrokenDescriptor("descriptor", "its descriptor is not the XML that it should be")
