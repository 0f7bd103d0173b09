"""Finds out what a stream is and which rules it breaks, without any policy."""

from collections.abc import Callable
from typing import Any

import msgspec

from fetcher.errors import Failure
from fetcher.guards.formats import settlement
from fetcher.guards.formats.filesystem import find_btrfs
from fetcher.guards.formats.registry import END_RECOGNISERS, RECOGNISERS
from fetcher.guards.formats.report import HEAD_BYTES, End, Finding, Report, Role, Steps, Window
from fetcher.guards.formats.stream import Reader, behind_head
from fetcher.model import Value

EMPTY, UNKNOWN, AMBIGUOUS = "empty", "unknown", "ambiguous"
FAULT = Finding(
    rule="inspector-fault",
    reason="our inspector failed on it",
    hint="This is a fault of ours: tell the operator. Converting the image with qemu-img convert may help.",
)


class Inspection(Value, frozen=True, kw_only=True):
    """What is known of a stream.

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
        complete: The stream has ended, and this is the last word.
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
    complete: bool = False

    @property
    def is_safe(self) -> bool:
        """Answer whether it is one thing, and breaks no rule."""
        return not self.findings and not self.rivals


class Inspector:
    """Looks at a stream as it passes; keeps its first 64 KiB, its last, and nothing between.

    A bad image is a result, never an exception.

    Args:
        on_news: Called when there is more to know; may raise, to end the inspection.
    """

    def __init__(self, on_news: Callable[[], None] | None = None) -> None:
        self._on_news = on_news or _ignore
        self._report: Report | None = None
        self._rivals: list[Report] = []
        self._is_complete = False
        self._reader = Reader(self._steps())
        self.head = b""
        self.fault: Exception | None = None

    def feed(self, chunk: bytes) -> None:
        """Look at the next bytes."""
        try:
            self._reader.feed(chunk)
        except Failure:
            raise
        except Exception as error:  # noqa: BLE001 # whatever a recogniser stumbles over is a refusal
            self._fail(error)

    def finish(self) -> None:
        """Judge the whole, after the last byte."""
        try:
            end = self._reader.finish()
            if self.fault is None:
                self._judge_end(end)
        except Failure:
            raise
        except Exception as error:  # noqa: BLE001 # as in feed
            self._fail(error)
        self._is_complete = True
        self._on_news()

    def _fail(self, error: Exception) -> None:
        self.fault = error
        self._reader.stop()
        self._on_news()

    def _steps(self) -> Steps:
        self.head = yield Window(0, HEAD_BYTES)
        if not self.head:
            return
        found = [report for recognise in RECOGNISERS if (report := recognise(self.head))]
        self._report, self._rivals = settlement.settle(found)
        if self._report is None and len(self.head) == HEAD_BYTES:
            yield from find_btrfs(found)
            self._report, self._rivals = settlement.settle(found)
        self._on_news()
        report = self._report
        if report is not None and report.follow is not None and not self._rivals:
            report.announce = self._on_news
            yield from behind_head(self.head, report.follow())
            self._on_news()

    def _judge_end(self, end: End) -> None:
        if settlement.may_end_otherwise(self._report):
            last = [report for recognise in END_RECOGNISERS if (report := recognise(end))]
            self._report, self._rivals = settlement.settle_end(self._report, self._rivals, last)
        report = self._report
        if report is not None:
            if not report.findings and not self._rivals:
                report.judge_end(end)
            if report.virtual_bytes is None and settlement.is_flat(report):
                report.virtual_bytes = end.total

    def report(self) -> Inspection:
        """Return what is known now."""
        seen = self._reader.seen_bytes
        faults = () if self.fault is None else (FAULT,)
        if self._is_complete and not seen:
            return Inspection(format=EMPTY, words="no bytes at all", name="nothing", complete=True)
        if self._rivals:
            words = tuple(rival.kind.words for rival in self._rivals)
            name = " and ".join(words)
            known: dict[str, Any] = {"format": AMBIGUOUS, "words": name, "name": name, "rivals": words}
        elif self._report is not None:
            known = _known(self._report)
            faults += known.pop("findings")
        else:
            known = {}
        return Inspection(seen_bytes=seen, findings=faults, complete=self._is_complete, **known)

    @property
    def is_decided(self) -> bool:
        """Answer whether the head has been judged."""
        return bool(self.head) or self._is_complete or self.fault is not None

    @property
    def retained_bytes(self) -> int:
        """How many bytes are kept alive."""
        return len(self.head) + self._reader.retained_bytes


def _known(report: Report) -> dict[str, Any]:
    kind = report.kind
    return {
        "format": kind.key,
        "role": kind.role,
        "words": kind.words,
        "name": report.name,
        "disk_format": kind.disk_format,
        "virtual_bytes": report.virtual_bytes,
        "facts": dict(report.facts),
        "findings": tuple(report.findings),
        "hint": kind.hint,
        "qemu": kind.qemu,
    }


def _ignore() -> None:
    """Let news pass."""
