"""The stages between an image's bytes and its record."""

from typing import Literal

import msgspec

from fetcher.settings.base import Count, HostPattern, Name, Section
from fetcher.settings.guards.formats import DiskFormat


class Convert(Section, frozen=True, kw_only=True):
    """Making of an image what the cloud boots."""

    target: Literal["as-received", "raw", "qcow2"]
    offered: list[Literal["as-received", "raw", "qcow2"]]
    uploads: Literal["never", "asked", "always"]


class InjectRule(Section, frozen=True, kw_only=True):
    """A rule for what is set on some images.

    Args:
        name: Stands in discovery and in provenance.
        projects: Whose imports; none given means all. So for roles, sources and formats.
        sources: Hosts of the submitted URL.
        disk_formats: Of the image as it is kept.
        set: Properties that are set, whatever was asked for.
        default: Properties that are set where they are not.
        require: Properties without which nothing is taken.
        forbid: Properties that must not be set.
        min_disk_from_virtual_size: Whether min_disk is at least the disk's size, in GiB and rounded up.
        min_ram: The least min_ram, in MiB.
        max_visibility: Who may see the image at most.
    """

    name: Name
    projects: list[Name] = msgspec.field(default_factory=list)
    roles: list[Name] = msgspec.field(default_factory=list)
    sources: list[HostPattern] = msgspec.field(default_factory=list)
    disk_formats: list[DiskFormat] = msgspec.field(default_factory=list)
    set: dict[Name, str] = msgspec.field(default_factory=dict)
    default: dict[Name, str] = msgspec.field(default_factory=dict)
    require: list[Name] = msgspec.field(default_factory=list)
    forbid: list[Name] = msgspec.field(default_factory=list)
    min_disk_from_virtual_size: bool = False
    min_ram: Count = 0
    max_visibility: Literal["", "private", "shared", "community", "public"] = ""


class Inject(Section, frozen=True, kw_only=True):
    """The operator's rules for what is set on images."""

    rules: list[InjectRule]
