"""The descriptor of an appliance: its files, its disks, and the machine that it describes.

Specification: DMTF DSP0243 2.1, section 8 (virtual hardware); for references and disks see the parser.
Safety: the parser's; at most one virtual system's hardware is read.
"""

from dataclasses import dataclass
from typing import Any

from defusedxml.ElementTree import fromstring

from fetcher.errors import UnpackFailed
from fetcher.parsers.archives.ovf import BrokenDescriptor, OvfDisk, read_references
from fetcher.unpack.appliance.ovf_hardware import Machine, read_machine

EXPORT = "Export the appliance anew as one OVA with its disks, or unpack it and submit the disk image inside."


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


def read_appliance(text: bytes) -> Appliance:
    """Read a descriptor.

    Raises:
        UnpackFailed: It is not the XML that it should be, or breaks a rule.
    """
    try:
        found = read_references(text)
        root: Any = fromstring(text, forbid_dtd=True)  # Which is short, as its references were read.
    except BrokenDescriptor as error:
        raise broken(error.rule, error.reason) from error
    systems = [node for node in root.iter() if str(node.tag).rpartition("}")[2] == "VirtualSystem"]
    machine = read_machine(systems[0]) if systems else Machine()
    disks = _in_order([*found.disks.values()], machine)
    return Appliance(files=found.names, disks=disks, machine=machine, systems=len(systems))


def _in_order(disks: list[OvfDisk], machine: Machine) -> tuple[OvfDisk, ...]:
    """Sort disks as the machine has them attached, to choose one by its number."""
    places = {key: place for place, key in enumerate(machine.disk_order)}
    return tuple(sorted(disks, key=lambda disk: places.get(disk.id, len(places))))


def broken(rule: str, reason: str) -> UnpackFailed:
    """Make the failure of an appliance that breaks a rule."""
    return UnpackFailed(packing="ova", rule=rule, reason=reason, hint=EXPORT)
