"""Advice for a person whose bytes are not what they thought."""

from collections.abc import Sequence

from fetcher.guards.stream.formats.inspection import Inspection
from fetcher.guards.stream.formats.refused import side_files
from fetcher.guards.stream.formats.refused.document import LOGIN, WRONG
from fetcher.guards.stream.formats.report import Role

AMAZON = ("ami", "ari", "aki")
"""Formats whose disk and container format are always the same."""

CONVERT_TO = {
    "raw": "raw",
    "qcow2": "qcow2",
    "vmdk": "vmdk -o subformat=streamOptimized",
    "vdi": "vdi",
    "vhd": "vpc",
    "vhdx": "vhdx",
    "ploop": "parallels",
}
"""The names that `qemu-img convert -O` has for each disk format that it can write."""

CHECK_URL = (
    "Check that the URL leads to the image itself, undamaged. A raw disk without a partition table or a "
    "known file system has to be claimed: disk_format=raw."
)

CHECK_FILE = (
    "Check that the file is the image itself, undamaged. A raw disk without a partition table or a "
    "known file system has to be claimed: disk_format=raw."
)
NO_DISK = "The file is no disk image: check it."
FOR_UPLOADS = {
    CHECK_URL: CHECK_FILE,
    LOGIN: "The file is a page, as a download may have saved it that needed a login: send the image itself.",
    WRONG: NO_DISK,
    **{kind.hint: NO_DISK for kind in side_files.ALL if "URL" in kind.hint},
}
"""Replacements for advice that speaks of a URL, for the sender of bytes."""


UNPACK = "Unpack it first, then submit the OVA or the disk image that is inside."


def on_mismatch(
    found: Inspection, claimed: str | None, container_formats: Sequence[str], *, is_packed: bool = False
) -> str:
    """Return what to do when the bytes are not what was claimed.

    Args:
        is_packed: What was found lies in something that no other tool looks into.
    """
    if found.role is Role.PACKED:
        return _on_packed(found, container_formats)
    if found.role is Role.BUNDLE:
        return "Say container_format=ova, or unpack it and submit the disk image inside."
    if found.role is Role.DISK or found.role is Role.TRACE:
        return _on_disk(found, claimed, is_packed=is_packed)
    return found.hint or on_unaccepted(found, ())


def on_unaccepted(found: Inspection, disk_formats: Sequence[str]) -> str:
    """Return what to do with bytes that are accepted under no name."""
    if found.role is Role.BUNDLE:
        return UNPACK  # Never a command that would take the archive itself for a disk.
    if found.hint:
        return found.hint
    if found.role is Role.PACKED:
        return "Decompress it first."
    if found.role is Role.FOREIGN or found.disk_format:
        wanted = "qcow2" if "qcow2" in disk_formats or not disk_formats else disk_formats[0]
        convert = _convert(found.qemu or "raw", wanted)
        return f"Convert it: {convert}." if convert else "Convert it to an accepted format."
    return CHECK_URL


def _on_disk(found: Inspection, claimed: str | None, *, is_packed: bool) -> str:
    if claimed == found.disk_format:
        return "Say container_format=bare, or leave it out so that it is found out from the bytes."
    hint = f"Say disk_format={found.disk_format}, or leave it out so that it is found out from the bytes"
    if claimed in AMAZON:  # Whose container format goes with them.
        hint = f"Say disk_format={found.disk_format} and container_format=bare, or leave both out"
    if is_packed:
        return f"{hint}."
    convert = _convert(found.qemu or "raw", claimed)
    return f"{hint}; or convert it: {convert}." if convert else f"{hint}."


def _on_packed(found: Inspection, container_formats: Sequence[str]) -> str:
    """Return advice that does not lead to the next refusal: it depends on what is inside."""
    inside = found.inside
    if inside is not None and inside.role in (Role.ARCHIVE, Role.BUNDLE):
        return "Unpack it and submit the disk image inside."
    if inside is not None and inside.role in (Role.KERNEL, Role.RAMDISK, Role.DOCUMENT):
        return inside.hint
    if "compressed" in container_formats:
        return "Decompress it first, or say container_format=compressed."
    return "Decompress it first."


def _convert(source: str, target: str | None) -> str:
    options = CONVERT_TO.get(target or "", source)
    if options == source:
        return ""
    return f"`qemu-img convert -f {source} -O {options} SOURCE TARGET`"
