"""Finds out what a stream is and which rules it breaks, without any policy."""

from collections.abc import Callable

from fetcher.errors import Failure
from fetcher.guards.stream.formats import settlement
from fetcher.guards.stream.formats.filesystem import find_btrfs
from fetcher.guards.stream.formats.inspection import EMPTY, Inspection, describe
from fetcher.guards.stream.formats.peek import OPENED, Start, unpack_start
from fetcher.guards.stream.formats.registry import END_RECOGNISERS, RECOGNISERS
from fetcher.guards.stream.formats.report import HEAD_BYTES, End, Finding, Report, Steps, Window
from fetcher.guards.stream.formats.stream import Reader, behind_head

FAULT = Finding(
    rule="inspector-fault",
    reason="our inspector failed on it",
    hint="This is a fault of ours: tell the operator. Converting the image with qemu-img convert may help.",
)


# What is left of the head once it has been looked at: enough to name, in a refusal, what is none of ours.
NAMED_BYTES = 4_096


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
        self._report, self._rivals = _settle(self.head)
        if self._report is None and len(self.head) == HEAD_BYTES:
            found: list[Report] = []
            yield from find_btrfs(found)
            self._report, self._rivals = settlement.settle(found)
        self._on_news()
        if self._report is not None and not self._rivals:
            yield from self._read_on(self._report)
        self.head = self.head[:NAMED_BYTES]

    def _read_on(self, report: Report) -> Steps:
        """Follow what lies behind the head, or look into what is packed."""
        if report.follow is not None and not report.findings:
            report.announce = self._on_news
            yield from behind_head(self.head, report.follow())
            self._on_news()
        if report.kind.key in OPENED and not report.findings:
            start = Start()
            yield from behind_head(self.head, unpack_start(report, start))
            if start.content and start.is_known:
                self._inside = describe(*_settle(bytes(start.content)))
                report.facts["inside"] = self._inside.name
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
        if self._is_complete and not seen:
            return Inspection(format=EMPTY, words="no bytes at all", name="nothing", complete=True)
        return describe(
            self._report,
            self._rivals,
            findings=() if self.fault is None else (FAULT,),
            seen_bytes=seen,
            complete=self._is_complete,
            inside=self._inside,
        )

    @property
    def steps(self) -> int:
        """How often something was looked at: what the inspection cost, besides the head."""
        return self._reader.served

    @property
    def retained_bytes(self) -> int:
        """How many bytes are kept alive."""
        return len(self.head) + self._reader.retained_bytes


def _settle(head: bytes) -> tuple[Report | None, list[Report]]:
    """Run every recogniser on a head."""
    return settlement.settle([report for recognise in RECOGNISERS if (report := recognise(head))])


def _ignore() -> None:
    """Let news pass."""
