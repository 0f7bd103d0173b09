"""Names for downloaded files that no shell and no file system trips over."""

import re

from fetcher.model import Image

_SAFE = re.compile(r"[^A-Za-z0-9._-]+")
_SUFFIX = {"qcow2": "qcow2", "iso": "iso", "vmdk": "vmdk", "vdi": "vdi", "vhd": "vhd", "vhdx": "vhdx"}


def file_name(image: Image) -> str:
    """Return what the file with an image's bytes is called."""
    stem = _SAFE.sub("-", image.name or "").strip("-.")[:80] or image.id
    if image.container_format == "compressed":
        return f"{stem}.{image.disk_format or 'img'}.compressed"
    suffix = _SUFFIX.get(image.disk_format or "", "img")
    return stem if stem.endswith(f".{suffix}") else f"{stem}.{suffix}"
