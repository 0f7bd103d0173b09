"""The decision to convert an image while it comes in, made by its first bytes."""

from fetcher.convert.streaming import qcow2, vdi, vhd, vmdk
from fetcher.convert.streaming.values import Staged, Streamable


def may_stream(head: bytes) -> bool:
    """Return whether it is worth waiting for as many bytes as `plan` needs.

    Args:
        head: The first bytes; with fewer than 68 the answer may be a wrong no.
    """
    is_vdi = head[vdi.SIGNATURE_AT :][:4] == vdi.SIGNATURE
    return head[:4] in (qcow2.MAGIC, vmdk.MAGIC) or head[:8] == vhd.COOKIE or is_vdi


def plan(
    head: bytes, *, disk_format: str | None = None, total_bytes: int | None = None
) -> Streamable | Staged:
    """Decide whether an image streams to a raw disk.

    Args:
        head: The first `HEAD_BYTES` of the image, or all of it where it is shorter.
        disk_format: What it was said or found to be, by the Image API's names. Needed for a fixed VHD
            only, whose beginning is that of a raw disk.
        total_bytes: Its length, where that is known; needed for a fixed VHD only.

    Raises:
        FormatUnsafe: The image breaks a rule of its format, or needs something outside itself.
    """
    if head[:4] == qcow2.MAGIC:
        return qcow2.plan(head)
    if head[:4] == vmdk.MAGIC:
        return vmdk.plan(head)
    if head[:8] == vhd.COOKIE:
        return vhd.plan(head)
    if head[vdi.SIGNATURE_AT :][:4] == vdi.SIGNATURE:
        return vdi.plan(head)
    if disk_format in ("vhd", "vpc") and total_bytes is not None and total_bytes > vhd.FOOTER_BYTES:
        return vhd.plan_fixed(total_bytes)
    return Staged(reason="its format is not one that is converted in one pass")
