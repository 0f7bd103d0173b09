"""The report of a recogniser: the kind of a stream, its facts, and the rules that it breaks."""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from fetcher.guards.stream.formats.work import Work
from fetcher.model import Value

HEAD_BYTES = 65_536
LARGEST_WINDOW = 65_536


class Window(NamedTuple):
    """A piece of the stream that a follower asks for; in rising order, `length` at least 1.

    Args:
        offset: Where it begins.
        length: How much is needed.
        most: How much more is taken, if it is at hand; what lies behind the first byte may be asked for
            again. How much comes depends on the chunks, so no verdict may.
    """

    offset: int
    length: int
    most: int = 0

    @property
    def end(self) -> int:
        """Return the first byte after it."""
        return self.offset + self.length


def windows(offset: int, length: int) -> Iterator[Window]:
    """Cut a long range into windows that can be served."""
    for start in range(offset, offset + length, LARGEST_WINDOW):
        yield Window(start, min(LARGEST_WINDOW, offset + length - start))


Steps = Generator[Window, bytes, None]
"""Asks for windows and is sent their bytes; the first that comes back short is the last one served."""


class End(NamedTuple):
    """The findings after the last byte.

    Args:
        total: Bytes in all.
        tail: The last of them, at most `stream.TAIL_BYTES`.
    """

    total: int
    tail: bytes


CUT_SHORT = "The file is cut short or damaged: compare its size with the original's, and submit it whole."
NO_DISK = "Nothing can boot from it: make the image from a disk that has a size."


class Role(StrEnum):
    """The role of a kind of content for an importer of disk images."""

    DISK = "disk"
    FOREIGN = "foreign"  # A disk image of a format that no disk_format stands for.
    PACKED = "packed"
    BUNDLE = "bundle"  # An OVA.
    ARCHIVE = "archive"
    KERNEL = "kernel"
    RAMDISK = "ramdisk"
    TRACE = "trace"  # What shows that a raw disk is one: a partition table, a file system.
    DOCUMENT = "document"  # Neither disk nor archive; counts only where nothing else matched.


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of content.

    Args:
        key: Our own name for it, stable.
        words: For a sentence: "a gzip archive".
        role: What it is to us.
        disk_format: The Image API's name, where it has one.
        qemu: The name of qemu's driver, for the advice to convert; empty where it has none.
        hint: What a person can do about it, where there is more to say than the policy does.
    """

    key: str
    words: str
    role: Role
    disk_format: str | None = None
    qemu: str = ""
    hint: str = ""


class Finding(Value, frozen=True, kw_only=True):
    """One rule that an image breaks.

    Args:
        rule: Stable, for programs: `qcow2-backing-file`.
        reason: Completes "The image is not safe: ...".
        hint: What a person can do about it.
    """

    rule: str
    reason: str
    hint: str = "Make a self-contained image, for example with qemu-img convert."


@dataclass(kw_only=True)
class Report:
    """The findings of one recogniser; it may learn more while the stream goes on.

    Args:
        kind: What it is.
        name: More exactly than the kind, for people: "QCOW2 v3 disk image".
        virtual_bytes: The size of the disk that a guest sees.
        facts: Flat and JSON-ready; nothing that the source wrote freely.
        findings: Every broken rule.
        follow: Reads on after the header, window by window.
        close: Judges the end of the stream.
        announce: Tells the owner that a rule can be judged before `follow` ends.
        reach: The end of the farthest thing that the image refers to inside itself.
        reach_what: What that thing is.
        data_at: Of a disk image, the first byte that may belong to the disk inside, where its header says so.
        work: The budget that `follow` spends from.
    """

    kind: Kind
    name: str
    virtual_bytes: int | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    follow: Callable[[], Steps] | None = None
    close: Callable[[End], None] | None = None
    announce: Callable[[], None] = lambda: None
    reach: int = 0
    reach_what: str = ""
    data_at: int | None = None
    work: Work = field(default_factory=Work)

    def broke(self, rule: str, reason: str, hint: str = "") -> None:
        """Note, once, that the image breaks a rule."""
        finding = Finding(rule=rule, reason=reason, hint=hint) if hint else Finding(rule=rule, reason=reason)
        if finding not in self.findings:
            self.findings.append(finding)

    def require(self, holds: bool, rule: str, reason: str, hint: str = "") -> None:
        """Note that the image breaks a rule unless it `holds`."""
        if not holds:
            self.broke(rule, reason, hint)

    def reaches(self, end: int, what: str) -> None:
        """Note that `what` ends before byte `end`, which therefore must be inside the file."""
        if end > self.reach:
            self.reach, self.reach_what = end, what

    def judge_end(self, end: End) -> None:
        """Check what can only be known after the last byte."""
        if self.reach > end.total:
            self.broke(
                "beyond-end",
                f"its {self.reach_what} would end at byte {self.reach:,}, but there are only {end.total:,}",
                CUT_SHORT,
            )
        if self.close is not None:
            self.close(end)
