"""The lines that boot an image; every part of them is safe to paste into a shell."""

import shlex

from fetcher.api.file_names import file_name
from fetcher.model import Image

_QEMU_FORMATS = {"qcow2": "qcow2", "raw": "raw", "vmdk": "vmdk", "vdi": "vdi", "vhd": "vpc", "vhdx": "vhdx"}


def boot_lines(image: Image, base: str, *, needs_token: bool) -> list[tuple[str, str]]:
    """Return what to type to get and boot an image: titles with their lines."""
    file = shlex.quote(file_name(image))
    token = ' -H "X-Auth-Token: $TOKEN"' if needs_token else ""
    url = shlex.quote(f"{base}/v2/images/{image.id}/file")
    lines = [
        ("curl", f"curl --fail --output {file}{token} {url}"),
        ("openstack", f"openstack image save --file {file} {image.id}"),
    ]
    if image.container_format != "bare":
        return lines
    if image.disk_format == "iso":
        name = "--name guest --memory 2048 --disk size=20 --osinfo detect=on,require=off"
        lines.append(("virt-install", f"virt-install {name} --cdrom {file}"))
        lines.append(("qemu", f"qemu-system-x86_64 -m 2048 -cdrom {file}"))
    elif image.disk_format in _QEMU_FORMATS:
        form = _QEMU_FORMATS[image.disk_format]
        name = "--name guest --memory 2048 --osinfo detect=on,require=off"
        lines.append(("virt-install", f"virt-install {name} --import --disk path={file},format={form}"))
        lines.append(("qemu", f"qemu-system-x86_64 -m 2048 -drive file={file},format={form},if=virtio"))
    lines.insert(
        2, ("server", f"openstack server create --image {image.id} --flavor FLAVOR --network NETWORK guest")
    )
    return lines
