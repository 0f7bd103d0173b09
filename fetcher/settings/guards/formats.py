"""The section of the guard `format`."""

from typing import Annotated, Literal

from msgspec import Meta

from fetcher.settings.base import Section

DiskFormat = Literal["raw", "qcow2", "vmdk", "vdi", "vhd", "vhdx", "iso", "ploop", "ami", "ari", "aki"]


ContainerFormat = Literal["bare", "ova", "ovf", "ami", "ari", "aki", "docker", "compressed"]


class Format(Section, frozen=True, kw_only=True):
    """The formats that the bytes may have."""

    disk_formats: Annotated[list[DiskFormat], Meta(min_length=1)]
    container_formats: Annotated[list[ContainerFormat], Meta(min_length=1)]
    enforce_on_upload: bool
    encrypted_uploads: Literal["nobody", "service", "everybody"]
