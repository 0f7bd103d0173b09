"""The findings about a stream, as a value without any policy."""

from typing import Any

import msgspec

from fetcher.guards.stream.formats.report import Finding, Report, Role
from fetcher.model import Value

EMPTY, UNKNOWN, AMBIGUOUS = "empty", "unknown", "ambiguous"


class Inspection(Value, frozen=True, kw_only=True):
    """The findings about a stream.

    Args:
        format: Our key for it: `qcow2`, `gzip`, `gpt`, `html` ...; `unknown`, `ambiguous`, `empty`.
        role: What it is to an importer; None where the format is none of ours.
        words: For a sentence: "a QCOW2 disk image".
        name: More exactly, for people: "QCOW2 v3 disk image".
        disk_format: The Image API's name, where there is one.
        virtual_bytes: The size of the disk that a guest sees; None where unknown.
        seen_bytes: How many bytes have been looked at.
        facts: Further findings, flat, JSON-ready.
        findings: Every broken rule; an image without any is safe as far as it was read.
        rivals: If there are several, what the bytes are at once, in words.
        hint: What a person can do with content of this kind.
        qemu: The name of qemu's driver for it, if it has one.
        reach_bytes: How long the file has to be for what it refers to inside itself.
        complete: The stream has ended, and this is the last word.
        inside: What a packed image holds, as far as its first 64 KiB show.
    """

    format: str = UNKNOWN
    role: Role | None = None
    words: str = "unknown data"
    name: str = "unknown data"
    disk_format: str | None = None
    virtual_bytes: int | None = None
    seen_bytes: int = 0
    facts: dict[str, Any] = msgspec.field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    rivals: tuple[str, ...] = ()
    hint: str = ""
    qemu: str = ""
    reach_bytes: int = 0
    complete: bool = False
    inside: "Inspection | None" = None

    @property
    def is_safe(self) -> bool:
        """Answer whether it is one thing, and breaks no rule, nor does what is inside it."""
        return not self.findings and not self.rivals and (self.inside is None or self.inside.is_safe)


def describe(report: Report | None, rivals: list[Report], **stream: Any) -> Inspection:
    """Return what a report, or several at once, come to.

    Args:
        report: Of the one recogniser that matched, if one did.
        rivals: Of all that matched, if they are too many.
        stream: Fields of the inspection that do not stand in a report.
    """
    if rivals:
        words = tuple(rival.kind.words for rival in rivals)
        name = " and ".join(words)
        return Inspection(format=AMBIGUOUS, words=name, name=name, rivals=words, **stream)
    if report is None:
        return Inspection(**stream)
    kind, inside = report.kind, stream.get("inside")
    return Inspection(
        format=kind.key,
        role=kind.role,
        words=kind.words,
        name=report.name,
        disk_format=kind.disk_format,
        virtual_bytes=report.virtual_bytes if kind.role is not Role.PACKED else _size_of(inside, report),
        facts=dict(report.facts),
        hint=kind.hint,
        qemu=kind.qemu,
        reach_bytes=report.reach,
        findings=(*stream.pop("findings", ()), *report.findings),
        **stream,
    )


def _size_of(inside: Inspection | None, packed: Report) -> int | None:
    """Return the size of the disk in an archive: as its format says, or all bytes of a raw one."""
    if inside is None:
        return None
    is_flat = inside.role in (None, Role.TRACE) or inside.qemu == "raw"
    unpacked: int | None = packed.facts.get("unpacked_bytes")
    return inside.virtual_bytes or (unpacked if is_flat else None)
