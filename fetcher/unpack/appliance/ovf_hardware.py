"""The hardware that a descriptor describes, in the words of image properties.

Specification: DMTF DSP0243 2.1 section 8; CIM_ResourceAllocationSettingData.ResourceType; the names
and values of properties are Nova's (nova.objects.fields).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from fetcher.parsers.archives.units import read_amount

PROCESSOR, MEMORY, IDE, SCSI, NETWORK, DISK, OTHER_STORAGE = "3", "4", "5", "6", "10", "17", "20"
SCSI_MODELS = {
    "lsilogic": "lsilogic",
    "lsilogicsas": "lsisas1068",
    "buslogic": "buslogic",
    "virtualscsi": "vmpvscsi",
    "virtio-scsi": "virtio-scsi",
    "virtioscsi": "virtio-scsi",
}
VIF_MODELS = {
    "e1000": "e1000",
    "e1000e": "e1000e",
    "vmxnet3": "vmxnet3",
    "vmxnet2": "vmxnet",
    "vmxnet": "vmxnet",
    "pcnet32": "pcnet",
    "virtio": "virtio",
    "virtionet": "virtio",
    "82540em": "e1000",
    "82545em": "e1000",
    "82543gc": "e1000",
}
SATA = ("ahci", "sata")
DISTRIBUTIONS = {
    "ubuntu": "ubuntu",
    "debian": "debian",
    "centos": "centos",
    "rhel": "rhel",
    "redhat": "rhel",
    "fedora": "fedora",
    "sles": "sles",
    "suse": "opensuse",
    "opensuse": "opensuse",
    "oraclelinux": "oraclelinux",
    "oracle": "oraclelinux",
    "rockylinux": "rocky",
    "almalinux": "almalinux",
    "amazonlinux": "amazon",
    "freebsd": "freebsd",
    "coreos": "coreos",
    "vmware-photon": "photon",
    "arch": "arch",
    "gentoo": "gentoo",
}
LINUX_WORDS = (*[word for word in DISTRIBUTIONS if word != "freebsd"], "linux", "asianux", "mandriva")
GUEST = re.compile(r"[A-Za-z0-9_]{1,64}")
WINDOWS_WORDS = ("win", "longhorn")


@dataclass(kw_only=True)
class Machine:
    """A virtual machine.

    Args:
        memory_bytes: What it is given.
        processors: How many it has.
        disk_order: The ids of its disks, as they are attached.
        properties: Image properties that make a machine like it.
        disk_buses: The bus of each disk by its id.
    """

    memory_bytes: int | None = None
    processors: int | None = None
    disk_order: list[str] = field(default_factory=list)
    properties: dict[str, str] = field(default_factory=dict)
    disk_buses: dict[str, dict[str, str]] = field(default_factory=dict)


def read_machine(system: Any) -> Machine:
    """Read one virtual system; what cannot be read is left out, for it only makes suggestions."""
    machine = Machine()
    items = list(_items(system))
    controllers = {item["InstanceID"]: bus for item in items if (bus := _bus(item))}
    for item in items:
        _note_item(item, controllers, machine)
    _note_system(system, machine)
    _note_config(system, machine)
    return machine


def _items(system: Any) -> Iterator[dict[str, str]]:
    """Yield the hardware items, each as {element: text}."""
    for node in system.iter():
        if _local(node.tag) not in {"Item", "StorageItem", "EthernetPortItem"}:
            continue
        item = {_local(child.tag): (child.text or "").strip() for child in node}
        item.setdefault("InstanceID", item.get("InstanceId", ""))
        item.setdefault("ResourceType", "")
        yield item


def _bus(item: dict[str, str]) -> dict[str, str] | None:
    """Return the properties of a controller's bus."""
    kind = item["ResourceType"]
    model = item.get("ResourceSubType", "").lower().split()[0:1]
    word = model[0] if model else ""
    if kind == IDE:
        return {"hw_disk_bus": "ide"}
    if kind == SCSI:
        known = SCSI_MODELS.get(word)
        return {"hw_disk_bus": "scsi"} | ({"hw_scsi_model": known} if known else {})
    if kind == OTHER_STORAGE and any(name in word for name in SATA):
        return {"hw_disk_bus": "sata"}
    return None


def _note_item(item: dict[str, str], controllers: dict[str, dict[str, str]], machine: Machine) -> None:
    kind, quantity = item["ResourceType"], item.get("VirtualQuantity", "")
    if kind == PROCESSOR and quantity.isdecimal() and len(quantity) <= 6:
        machine.processors = int(quantity)
    elif kind == MEMORY:
        machine.memory_bytes = read_amount(quantity, item.get("AllocationUnits") or "byte * 2^20")
    elif kind == NETWORK:
        model = VIF_MODELS.get(item.get("ResourceSubType", "").lower())
        if model:
            machine.properties.setdefault("hw_vif_model", model)
    elif kind == DISK:
        resource = item.get("HostResource", "")
        key = resource.rpartition("/")[2]
        machine.disk_order.append(key)
        machine.disk_buses[key] = controllers.get(item.get("Parent", ""), {})


def _note_system(system: Any, machine: Machine) -> None:
    """Read which operating system it is for."""
    for node in system.iter():
        if _local(node.tag) != "OperatingSystemSection":
            continue
        named = {_local(name): str(value) for name, value in node.attrib.items()}
        kind = named.get("osType", "")
        words = [kind] if kind else [child.text or "" for child in node if _local(child.tag) == "Description"]
        guest = words[0].strip() if words else ""
        if GUEST.fullmatch(kind):
            machine.properties["vmware_ostype"] = kind
        machine.properties |= guess_system(guest)
        return


def guess_system(guest: str) -> dict[str, str]:
    """Return the properties for a guest's name, such as `ubuntu64Guest` or `Debian_64`."""
    word = guest.lower()
    found: dict[str, str] = {}
    for name, distribution in DISTRIBUTIONS.items():
        if word.startswith(name):
            found["os_distro"] = distribution
            break
    if word.startswith(WINDOWS_WORDS):
        found |= {"os_type": "windows", "os_distro": "windows"}
    elif word.startswith(LINUX_WORDS) or "linux" in word:
        found["os_type"] = "linux"
    if found and (word.startswith("arm") or "arm64" in word or "aarch64" in word):
        found["architecture"] = "aarch64"
    elif found and "64" in word:
        found["architecture"] = "x86_64"
    return found


def _note_config(system: Any, machine: Machine) -> None:
    """Read the firmware, as VMware and VirtualBox write it."""
    for node in system.iter():
        tag = _local(node.tag)
        named = {_local(name): str(value).strip().lower() for name, value in node.attrib.items()}
        key = named.get("key", "")
        if tag == "Config" and key == "firmware" and named.get("value") in {"efi", "bios"}:
            machine.properties["hw_firmware_type"] = "uefi" if named["value"] == "efi" else "bios"
        elif tag == "Config" and key.endswith("efisecurebootenabled") and named.get("value") == "true":
            machine.properties["os_secure_boot"] = "optional"
        elif tag == "Firmware" and named.get("type", "").startswith("efi"):
            machine.properties["hw_firmware_type"] = "uefi"


def _local(tag: object) -> str:
    return str(tag).rpartition("}")[2]
