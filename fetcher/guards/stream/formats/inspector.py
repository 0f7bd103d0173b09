"""Finds out what a stream is and which rules it breaks, without any policy."""

from collections.abc import Callable

from fetcher.errors import Failure
from fetcher.guards.stream.formats import settlement
from fetcher.guards.stream.formats.archives.pkzip import ZIP
from fetcher.guards.stream.formats.inspection import EMPTY, Inspection, describe
from fetcher.guards.stream.formats.packed.peek import OPENED, Start, note_mistake, unpack_start
from fetcher.guards.stream.formats.registry import (
    BEHIND_RECOGNISERS,
    BEHIND_SIGNS,
    BY_PLACE,
    END_RECOGNISERS,
    END_SIGNS,
    IN_TEXT,
    RECOGNISERS,
    SIGNS,
    Recogniser,
)
from fetcher.guards.stream.formats.report import HEAD_BYTES, End, Finding, Report, Role, Steps, Window
from fetcher.guards.stream.formats.stream import ALL, Reader, behind_head
from fetcher.guards.stream.formats.work import Work, WorkExceeded

FAULT = Finding(
    rule="inspector-fault",
    reason="our inspector failed on it",
    hint="This is a fault of ours: tell the operator. Converting the image with qemu-img convert may help.",
)
TOO_DEAR = Finding(
    rule="inspection-budget",
    reason="it is cut into so many small pieces that reading them takes more work than an image is worth",
    hint="Write the image anew with the usual options of its tool.",
)


NO_DISK = (Role.DOCUMENT, Role.ARCHIVE, None)
"""Files that a ZIP archive may have beside its disk, so that its directory has to name the others."""

BEHIND_HEAD = Window(65_544, 64)
"""The bytes just behind the head, which are looked at if nothing was found in it."""

# What is left of the head once it has been looked at: enough to name, in a refusal, what is none of ours.
NAMED_BYTES = 4_096
SIGHT_BYTES = 1_024  # Most of what is no text has a zero in them.


class Inspector:
    """Looks at a stream as it passes; keeps its last 64 KiB, and its first while they are needed.

    A bad image is a result, never an exception.

    Args:
        on_news: Called when there is more to know; may raise, to end the inspection.
    """

    def __init__(self, on_news: Callable[[], None] | None = None) -> None:
        self._on_news = on_news or _ignore
        self._report: Report | None = None
        self._rivals: list[Report] = []
        self._is_complete = False
        self._inside: Inspection | None = None
        self._stopped_by: tuple[Finding, ...] = ()
        self._work = Work()
        self._reader = Reader(self._steps(), self._work)
        self.head = b""
        self.fault: Exception | None = None

    def feed(self, chunk: bytes) -> None:
        """Look at the next bytes, whatever work they make."""
        self.skim(chunk, ALL)

    def skim(self, chunk: bytes, units: int) -> bool:
        """Look at the next bytes as far as so many units of work go; return whether that is all of them."""
        self._reader.offer(chunk)
        return self.go_on(units)

    def go_on(self, units: int) -> bool:
        """Look at what `skim` left, as far as so many units of work go; return whether nothing is left."""
        try:
            return self._reader.serve(units)
        except Failure:
            raise
        except Exception as error:  # noqa: BLE001 # whatever a recogniser stumbles over is a refusal
            self._fail(error)
            return True

    def finish(self) -> None:
        """Judge the whole, after the last byte."""
        try:
            end = self._reader.finish()
            if not self._stopped_by:
                self._judge_end(end)
        except Failure:
            raise
        except Exception as error:  # noqa: BLE001 # as in go_on
            self._fail(error)
        self._is_complete = True
        self._on_news()

    def _fail(self, error: Exception) -> None:
        """Stop looking: for want of budget, which is the stream's fault, or for a fault of ours."""
        if isinstance(error, WorkExceeded):
            self._stopped_by = (TOO_DEAR,)
        else:
            self._stopped_by = (FAULT,)
            self.fault = error
        self._reader.stop()
        self._on_news()

    def _steps(self) -> Steps:
        self.head = yield Window(0, HEAD_BYTES)
        if not self.head:
            return
        self._report, self._rivals = _settle(self.head)
        if self._report is None and len(self.head) == HEAD_BYTES:
            window = yield BEHIND_HEAD
            self._report, self._rivals = _settle_behind(window, BEHIND_HEAD.offset)
        if self._report is None or self._rivals or self._report.kind.key not in OPENED:
            self._on_news()  # Of what is packed there is news when its beginning is unpacked.
        if self._report is not None and not self._rivals:
            yield from self._read_on(self._report)
        self.head = self.head[:NAMED_BYTES]

    def _read_on(self, report: Report) -> Steps:
        """Look into what is packed, then follow what lies behind the head."""
        report.work, report.announce = self._work, self._on_news
        beginning, inside = self.head, None
        if report.kind.key in OPENED:
            start = Start()
            if not report.findings:
                yield from self._behind(beginning, unpack_start(report, start))
                beginning = max(beginning, bytes(start.packed), key=len)
                inside = self._look_inside(report, start, beginning)
            if inside is not None and not (report.kind is ZIP and inside.role in NO_DISK):
                self._inside = inside
            self._on_news()
        if report.follow is not None and not report.findings:
            yield from self._behind(beginning, report.follow())
            self._inside = None if report.findings else inside
            self._on_news()

    def _look_inside(self, report: Report, start: Start, beginning: bytes) -> Inspection | None:
        """Judge what the beginning unpacks to, or say why it does not."""
        if report.follow is not None:  # Its rules come first, because they say more.
            next(self._behind(beginning, report.follow()), None)
        if not report.findings:
            note_mistake(start, report)
        if report.findings or not start.content or not start.is_known:
            return None
        inside = describe(*_settle(bytes(start.content)))
        report.facts["inside"] = inside.name
        return inside

    def _behind(self, beginning: bytes, steps: Steps) -> Steps:
        is_all = len(self.head) < HEAD_BYTES
        return behind_head(beginning, steps, self._work, is_all=is_all)

    def _judge_end(self, end: End) -> None:
        shown = _shown_by_end(end.tail)
        if shown and settlement.may_end_otherwise(self._report):
            last = [report for recognise in shown if (report := recognise(end))]
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
        if self._is_complete and not seen:
            return Inspection(format=EMPTY, words="no bytes at all", name="nothing", complete=True)
        return describe(
            self._report,
            self._rivals,
            findings=self._stopped_by,
            seen_bytes=seen,
            complete=self._is_complete,
            inside=self._inside,
        )

    @property
    def steps(self) -> int:
        """Return how often something was looked at: what the inspection cost, besides the head."""
        return self._reader.served

    @property
    def worked_units(self) -> int:
        """Return how many units of work the inspection has taken so far."""
        return self._reader.worked_units

    @property
    def short_steps(self) -> int:
        """Return how much of its budget the stream has spent."""
        return self._work.short_steps

    @property
    def retained_bytes(self) -> int:
        """Return how many bytes are kept alive."""
        return len(self.head) + self._reader.retained_bytes


def _settle(head: bytes) -> tuple[Report | None, list[Report]]:
    """Run every recogniser on a head that may hold what it looks for."""
    shown: set[Recogniser] = set(IN_TEXT if _may_be_text(head) else ())
    for at, magics, here in BY_PLACE:
        if head.startswith(magics, at):
            shown.update(recognise for needed, recognise in here if head.startswith(needed, at))
    asked = [recognise for recognise in RECOGNISERS if recognise in shown or recognise not in SIGNS]
    seen = [(recognise, report) for recognise in asked if (report := recognise(head))]
    found = settlement.leave_content_out(seen, head) if len(seen) > 1 else [report for _, report in seen]
    return settlement.settle(found) if found else (None, [])


def _settle_behind(window: bytes, at: int) -> tuple[Report | None, list[Report]]:
    """Do so for what lies behind the head, in a window from byte `at`."""
    asked = [
        one
        for one in BEHIND_RECOGNISERS
        if one not in BEHIND_SIGNS
        or any(window.startswith(magic, place - at) for place, magic in BEHIND_SIGNS[one])
    ]
    found = [report for recognise in asked if (report := recognise(window, at))]
    return settlement.settle(found) if found else (None, [])


def _shown_by_end(tail: bytes) -> list[Callable[[End], Report | None]]:
    """Return the recognisers of what lies at the end that may find something in it."""
    signs = [(recognise, END_SIGNS.get(recognise, (b"", 0))) for recognise in END_RECOGNISERS]
    return [
        recognise for recognise, (magic, last) in signs if tail.find(magic, max(len(tail) - last, 0)) >= 0
    ]


def _may_be_text(head: bytes) -> bool:
    """Answer whether nothing but zeros at its end shows that a head is no text of bytes, at first sight."""
    start = head[:SIGHT_BYTES].rstrip(b"\0")
    return bool(start) and b"\0" not in start


def _ignore() -> None:
    """Let news pass."""
