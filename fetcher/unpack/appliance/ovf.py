"""The descriptor of an appliance: its files, its disks, and the machine that it describes.

Specification: DMTF DSP0243 2.1, sections 7.1 (references), 8 (virtual hardware) and 9.1 (disks).
Safety: no document type, so no entities; files by their plain name, never by path or URL; no disk that
is made from a parent; no file in chunks; at most one virtual system's hardware is read.
"""

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring

from fetcher.errors import UnpackFailed
from fetcher.parsers.archives.units import read_amount
from fetcher.unpack.appliance.ovf_hardware import Machine, read_machine

NOT_PLAIN = re.compile(r"[/\\:\x00-\x1f]|^\.\.?$|^$")
EXPORT = "Export the appliance anew as one OVA with its disks, or unpack it and submit the disk image inside."
MAX_ENTRIES = 1_024


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


@dataclass(frozen=True, kw_only=True)
class Appliance:
    """The parts of a descriptor that count.

    Args:
        files: The names of all files that it refers to.
        disks: Those disks that have a file, in the order of the machine's hardware where it has one.
        machine: What the first virtual system looks like.
        systems: How many virtual systems there are.
    """

    files: frozenset[str]
    disks: tuple[OvfDisk, ...]
    machine: Machine
    systems: int


@dataclass
class _Draft:
    files: dict[str, dict[str, str]] = field(default_factory=dict)
    disks: list[OvfDisk] = field(default_factory=list)
    systems: int = 0


def read_appliance(text: bytes) -> Appliance:
    """Read a descriptor.

    Raises:
        UnpackFailed: It is not the XML that it should be, or breaks a rule above.
    """
    try:
        root: Any = fromstring(text, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise broken("descriptor", "its descriptor is not the XML that it should be") from error
    if local(root.tag) != "Envelope":
        raise broken("descriptor", "its descriptor is no OVF envelope")
    draft = _Draft()
    nodes = list(root.iter())
    for node in nodes:
        if local(node.tag) == "File":
            _note_file(attributes(node), draft)
    for node in nodes:
        if local(node.tag) == "Disk":
            _note_disk(attributes(node), draft)
    systems = [node for node in nodes if local(node.tag) == "VirtualSystem"]
    machine = read_machine(systems[0]) if systems else Machine()
    names = frozenset(file["href"] for file in draft.files.values())
    return Appliance(
        files=names, disks=_in_order(draft.disks, machine), machine=machine, systems=len(systems)
    )


def local(tag: object) -> str:
    """Return a name without its namespace: versions of OVF differ in nothing else here."""
    return str(tag).rpartition("}")[2]


def attributes(node: Any) -> dict[str, str]:
    """Return the attributes of an element, likewise."""
    return {local(name): str(value) for name, value in node.attrib.items()}


def _note_file(file: dict[str, str], draft: _Draft) -> None:
    name, key = file.get("href", ""), file.get("id", "")
    if NOT_PLAIN.search(name) or NOT_PLAIN.search(unquote(name)):
        raise broken("reference", "its descriptor names a file by path or URL")
    if "chunkSize" in file:
        raise broken("chunks", "a file is split into chunks")
    if file.get("compression", "identity") not in {"identity", "gzip", ""}:
        raise broken("compression", "a file is compressed in another way than gzip")
    if key in draft.files or len(draft.files) >= MAX_ENTRIES:
        raise broken("reference", "two files have the same id, or there are too many")
    draft.files[key] = file | {"href": name}


def _note_disk(disk: dict[str, str], draft: _Draft) -> None:
    if disk.get("parentRef"):  # oVirt writes an empty one where there is none.
        raise broken("parent", "one of its disks has a parent")
    reference = disk.get("fileRef")
    if reference is None:
        return  # An empty disk, made at deployment.
    file = draft.files.get(reference)
    if file is None:
        raise broken("reference", "a disk refers to a file that the descriptor does not list")
    capacity = disk.get("capacity", "")
    amount = read_amount(capacity, disk.get("capacityAllocationUnits", "byte"))
    if amount is None and not capacity.startswith("${"):
        raise broken("capacity", "the capacity of a disk is not a number with a known unit")
    if any(other.name == file["href"] for other in draft.disks) or len(draft.disks) >= MAX_ENTRIES:
        raise broken("reference", "two disks are in one file, or there are too many")
    draft.disks.append(
        OvfDisk(
            id=disk.get("diskId", ""),
            name=file["href"],
            capacity_bytes=amount,
            is_gzip=file.get("compression") == "gzip",
        )
    )


def _in_order(disks: list[OvfDisk], machine: Machine) -> tuple[OvfDisk, ...]:
    """Sort disks as the machine has them attached, for whoever chooses one by its number."""
    places = {key: place for place, key in enumerate(machine.disk_order)}
    return tuple(sorted(disks, key=lambda disk: places.get(disk.id, len(places))))


def broken(rule: str, reason: str) -> UnpackFailed:
    """Make the failure of an appliance that breaks a rule."""
    return UnpackFailed(packing="ova", rule=rule, reason=reason, hint=EXPORT)
