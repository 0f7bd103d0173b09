"""Decides on an inspection: what was claimed has to be what was found, and what was found accepted."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fetcher.errors import (
    EmptySource,
    Failure,
    FormatAmbiguous,
    FormatMismatch,
    FormatUnknown,
    FormatUnsafe,
    TooManyBytes,
    VirtualSizeExceeded,
)
from fetcher.guards.stream.formats import advice
from fetcher.guards.stream.formats.inspection import EMPTY, Inspection
from fetcher.guards.stream.formats.inspector import FAULT
from fetcher.guards.stream.formats.report import CUT_SHORT, Role
from fetcher.model import FormatVerdict

BARE, COMPRESSED, OVA = "bare", "compressed", "ova"
STARTING = ("qcow2", "vmdk", "vdi", "vhdx", "iso", "ploop")  # Which cannot be overlooked at the beginning.
INSIDE_ROLES = (None, Role.DISK, Role.TRACE)
SECTOR = 512
BOOTED_FROM = ("gzip", "xz", "zstd", "bzip2", "lz4")  # What Linux unpacks a kernel or a ramdisk from.
UNOPENED_RAMDISKS = ("lzma", "lzop")  # Likewise, but nothing here looks into them.


@dataclass(frozen=True, kw_only=True)
class Policy:
    """The formats that the operator accepts, and the submitter's claims.

    Args:
        disk_formats: The Image API's names.
        container_formats: The Image API's names.
        max_virtual_bytes: The largest disk that an image may describe.
        disk: The disk format that was claimed.
        container: The container format that was claimed.
        name_content: Names what is none of ours, for the message.
        max_bytes: What the file can hold at most; None if that is not known.
        takes_encrypted: Whether a LUKS volume may be kept as raw.
        is_upload: The bytes were sent, not pulled: there is no URL to check, and none may be a raw disk.
    """

    disk_formats: Sequence[str]
    container_formats: Sequence[str]
    max_virtual_bytes: int
    disk: str | None
    container: str | None
    name_content: Callable[[bytes], str | None]
    max_bytes: int | None = None
    takes_encrypted: bool = False
    is_upload: bool = False

    def judge(self, found: Inspection, head: bytes) -> FormatVerdict | None:
        """Return the verdict, or None where it has to wait for the end of the stream.

        Raises:
            EmptySource: There are no bytes.
            FormatAmbiguous: It is several formats at once.
            FormatMismatch: It is not what was claimed.
            FormatUnknown: It is nothing that is accepted.
            FormatUnsafe: It breaks a rule.
            TooManyBytes: It has to be longer than it may be.
            VirtualSizeExceeded: Its disk is too large.
        """
        if found.format == EMPTY:
            return self._judge_nothing()
        if FAULT in found.findings:
            _check_safe(found)
        if found.rivals:
            raise FormatAmbiguous(found=list(found.rivals))
        formats = self._resolve(found, head)
        if formats is None:
            return None
        disk, container = formats
        self._check_accepted(found, disk, container)
        _check_safe(found)
        self._check_reach(found)
        virtual_bytes = found.virtual_bytes
        if virtual_bytes is None and found.role is None and found.complete:
            virtual_bytes = found.seen_bytes
        self._check_size(found, virtual_bytes)
        is_packed = found.role is Role.PACKED or found.format in UNOPENED_RAMDISKS
        is_unjudged = is_packed and found.complete and found.inside is None
        return FormatVerdict(
            disk_format=disk,
            container_format=container,
            name=found.name,
            virtual_bytes=virtual_bytes,
            facts={"format": found.format, **found.facts} | ({"inside_judged": False} if is_unjudged else {}),
        )

    def _judge_nothing(self) -> FormatVerdict:
        """Take no bytes as a raw disk if they were sent: so Nova keeps a snapshot that is in volumes."""
        if not self.is_upload:
            raise EmptySource
        if self.disk not in (None, "raw") or self.container not in (None, BARE):
            hint = (
                "Send the bytes of the image; only disk_format=raw with container_format=bare may have none."
            )
            claimed = self.disk if self.disk not in (None, "raw") else f"container_format={self.container}"
            raise FormatMismatch(claimed=str(claimed), found="no bytes at all", hint=hint)
        verdict = FormatVerdict(
            disk_format="raw", container_format=BARE, name="nothing", virtual_bytes=0, facts={"format": EMPTY}
        )
        self._check_accepted(Inspection(words="no bytes at all"), "raw", BARE)
        return verdict

    def _check_size(self, found: Inspection, virtual_bytes: int | None) -> None:
        """Refuse a disk that is too large, or that its archive says to be, and what is too small for one."""
        most = max(virtual_bytes or 0, found.facts.get("unpacked_bytes", 0))
        if most > self.max_virtual_bytes:
            raise VirtualSizeExceeded(virtual_bytes=most, max_virtual_bytes=self.max_virtual_bytes)
        if found.role in (None, Role.TRACE) and found.complete and found.seen_bytes < SECTOR:
            raise FormatUnsafe(
                format="raw",
                rule="raw-size",
                reason=f"it is shorter than one sector of {SECTOR} bytes",
                hint=CUT_SHORT,
            )

    def _check_reach(self, found: Inspection) -> None:
        """Refuse early what has to be longer than it may be."""
        if self.max_bytes is not None and found.reach_bytes > self.max_bytes:
            raise TooManyBytes(max_bytes=self.max_bytes, declared_bytes=found.reach_bytes)

    def _resolve(self, found: Inspection, head: bytes) -> tuple[str, str] | None:
        """Return the disk and container format that it is kept as; None if that is not known yet."""
        role = found.role
        if role is None or role is Role.TRACE:
            return self._resolve_raw(found, head)
        if role is Role.DISK:
            return self._resolve_disk(found)
        if role is Role.PACKED:
            return self._resolve_packed(found)
        if role is Role.BUNDLE:
            if self.container is None and self.disk not in (None, "vmdk"):
                raise self._refusal(found)
            return self._expect(found, self.disk or "vmdk", OVA)
        if role in (Role.KERNEL, Role.RAMDISK) and self.disk == found.disk_format:
            return self._expect(found, self.disk or "", self.disk or "")
        return self._resolve_special(found)

    def _resolve_special(self, found: Inspection) -> tuple[str, str]:
        """Take what is accepted for one purpose only."""
        if self.disk == "ari" and found.format in UNOPENED_RAMDISKS:
            return self._expect(found, "ari", "ari")
        if self.disk == "raw" and found.format == "luks" and self.takes_encrypted:
            return self._expect(found, "raw", BARE)
        raise self._refusal(found)

    def _resolve_disk(self, found: Inspection) -> tuple[str, str]:
        if found.format == "udf" and self.disk == "raw":
            return self._expect(found, "raw", BARE)  # Disks are formatted with UDF as discs are.
        return self._expect(found, found.disk_format or "", BARE)

    def _resolve_packed(self, found: Inspection) -> tuple[str, str]:
        """Take a packed image if that was said, or nothing was; a packed ramdisk is one all the same."""
        inside = found.inside
        if self.disk == "ari" and self.container == "ari" and found.format in BOOTED_FROM:
            fits = inside is None or inside.role is Role.RAMDISK or "file_system" in inside.facts
            return self._check_inside(found, fits, "ari", "ari")
        if self.disk == "aki" and self.container == "aki" and found.format in BOOTED_FROM:
            return self._check_inside(found, inside is None or inside.role is Role.KERNEL, "aki", "aki")
        if self.container == COMPRESSED or (self.container is None and self.disk is None):
            is_judged = inside is not None and (inside.role is not None or bool(inside.rivals))
            if self.disk is None and not is_judged and self._may_be_judged(found):
                return self._unknown_inside(found)
            if inside is None:
                return self.disk or "raw", COMPRESSED
            is_known_at_start = self.disk in STARTING and inside.disk_format != self.disk
            is_other = self.disk is not None and inside.role is Role.DISK and inside.disk_format != self.disk
            fits = inside.role in INSIDE_ROLES and not is_known_at_start and not is_other
            return self._check_inside(found, fits, self.disk or inside.disk_format or "raw", COMPRESSED)
        raise self._refusal(found)

    def _may_be_judged(self, found: Inspection) -> bool:
        """Return whether everything was seen that shows what is inside, so that nothing better is to come."""
        return not found.findings and (found.inside is not None or found.complete or found.format == "7z")

    def _unknown_inside(self, found: Inspection) -> tuple[str, str]:
        words = f"{found.words} of unknown data" if found.inside else found.words
        hint = (
            "Unpack it and submit the disk image inside; or, to keep it packed, say what is inside: "
            "disk_format=raw, or another, with container_format=compressed."
        )
        raise FormatUnknown(found=words, allowed=list(self.disk_formats), hint=hint)

    def _check_inside(self, found: Inspection, fits: bool, disk: str, container: str) -> tuple[str, str]:
        """Hold the claim against what is inside a packed image."""
        inside = found.inside
        if inside is None or (fits and not inside.rivals):
            return disk, container
        if inside.rivals:
            raise FormatAmbiguous(found=list(inside.rivals))
        words = f"{found.words} of {inside.words}"
        if self.disk is None:
            raise self._unaccepted(inside, words, self.disk_formats)
        hint = self._advise(advice.on_mismatch(inside, self.disk, (), is_packed=True))
        raise FormatMismatch(claimed=self.disk, found=words, hint=hint)

    def _resolve_raw(self, found: Inspection, head: bytes) -> tuple[str, str] | None:
        """Take as raw what shows itself to be a disk, or was said to be one."""
        is_shown = found.role is Role.TRACE
        if self.disk == "vhd" and not found.complete:
            return None  # A fixed VHD shows only at its end.
        if self.disk == "raw" or (self.disk is None and is_shown):
            if "raw" not in self.disk_formats and "vhd" in self.disk_formats and not found.complete:
                return None
            return self._expect(found, "raw", BARE)
        if self.disk in ("ami", "ari") and is_shown and "file_system" in found.facts:
            return self._expect(found, self.disk, self.disk)
        raise self._refusal(found, None if is_shown else self.name_content(head))

    def _expect(self, found: Inspection, disk: str, container: str) -> tuple[str, str]:
        """Hold the claim against what it would be kept as."""
        if self.disk not in (None, disk) or self.container not in (None, container):
            raise self._refusal(found)
        return disk, container

    def _check_accepted(self, found: Inspection, disk: str, container: str) -> None:
        if container not in self.container_formats:
            raise self._unaccepted(found, found.words, self.container_formats)
        if disk not in self.disk_formats:
            raise self._unaccepted(found, found.words, self.disk_formats)

    def _refusal(self, found: Inspection, named: str | None = None) -> Failure:
        """Return: different from the claim, or, if nothing was claimed, nothing that is accepted."""
        words = named or found.words
        if self.disk is None and self.container is None:
            return self._unaccepted(found, words, self.disk_formats)
        claimed = self.disk if self.disk not in (None, found.disk_format) else None
        hint = advice.on_mismatch(found, self.disk, self.container_formats)
        if found.role is Role.DISK and found.disk_format not in self.disk_formats:
            hint = advice.on_unaccepted(found, self.disk_formats)
        return FormatMismatch(
            claimed=claimed or (f"container_format={self.container}" if self.container else str(self.disk)),
            found=words,
            hint=self._advise(hint),
        )

    def _unaccepted(self, found: Inspection, words: str, allowed: Sequence[str]) -> Failure:
        hint = self._advise(advice.on_unaccepted(found, self.disk_formats))
        return FormatUnknown(found=words, allowed=list(allowed), hint=hint)

    def _advise(self, hint: str) -> str:
        """Return the advice in the terms of who brought the bytes."""
        return advice.FOR_UPLOADS.get(hint, hint) if self.is_upload else hint


def _check_safe(found: Inspection, outside: str = "") -> None:
    for finding in found.findings[:1]:
        raise FormatUnsafe(
            format=found.disk_format or found.format,
            rule=finding.rule,
            reason=f"inside {outside}, {finding.reason}" if outside else finding.reason,
            hint=f"Unpack it first. {finding.hint}" if outside else finding.hint,
        )
    if found.inside is not None:
        _check_safe(found.inside, found.words)
