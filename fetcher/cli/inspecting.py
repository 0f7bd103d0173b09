"""The command that says what bytes are, without importing them."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter
from rich.text import Text

from fetcher.api.submit.words import exact_words
from fetcher.cli.choices import AsJson, ConfigFile
from fetcher.cli.exits import Exit
from fetcher.cli.screen import Screen, plain
from fetcher.config import Settings, load_settings
from fetcher.errors import Failure
from fetcher.guards import format_guard
from fetcher.guards.stream.formats import Inspection, Inspector
from fetcher.guards.stream.size import ByteCap
from fetcher.importer import verdict_of
from fetcher.model import Submission, Verdict
from fetcher.transport import Gate, SourceRequest

READ_BYTES = 1_048_576
ACCEPTED = Verdict(code="ok", title="It would be accepted here.")


class Examiner:
    """Looks at bytes twice: as the importer's guard, which stops at a refusal, and to tell all there is.

    Args:
        claims: What they are said to be, as a submission says it.
    """

    def __init__(self, settings: Settings, claims: Submission) -> None:
        self._guard = format_guard(settings, claims)
        self._inspector = Inspector()
        self.verdict = ACCEPTED

    def feed(self, chunk: bytes) -> None:
        """Look at the next bytes."""
        self._inspector.feed(chunk)
        self._judge(lambda: self._guard.feed(chunk))

    def finish(self) -> Inspection:
        """Judge the whole, and tell what it is."""
        self._inspector.finish()
        self._judge(self._guard.finish)
        return self._inspector.report()

    def _judge(self, step: Callable[[], None]) -> None:
        if self.verdict is ACCEPTED:
            try:
                step()
            except Failure as failure:
                self.verdict = verdict_of(failure)


def inspect(
    source: Annotated[str, Parameter(allow_leading_hyphen=True)],
    *,
    config: ConfigFile = None,
    disk_format: str | None = None,
    container_format: str | None = None,
    json: AsJson = False,
) -> Exit:
    """Say what an image is and whether it is safe to boot from, without importing it.

    The exit code is 0 for an image that would be accepted here, 3 for one that would not.

    Args:
        source: A file, a URL, or - for standard input.
        config: The operator's file, laid over `config.toml` key by key.
        disk_format: What it is said to be.
        container_format: What it is said to be in.
        json: Print one JSON document instead of words.
    """
    settings = load_settings(config)
    cap = settings.size.max_bytes
    claims = Submission(url=source, disk_format=disk_format, container_format=container_format, max_bytes=cap)
    examiner = Examiner(settings, claims)
    if "://" in source:
        asyncio.run(_feed_url(examiner, source, settings))
    else:
        _feed_file(examiner, source)
    report = examiner.finish()
    screen = Screen(as_json=json)
    is_accepted = examiner.verdict is ACCEPTED
    if screen.as_json:
        found = msgspec.to_builtins(report)
        verdict = msgspec.to_builtins(examiner.verdict)
        screen.json({"source": source, "accepted": is_accepted, "verdict": verdict, "found": found})
    else:
        _tell(screen, source, report, examiner.verdict)
    return Exit.OK if is_accepted else Exit.REFUSED


def _feed_file(examiner: Examiner, source: str) -> None:
    if source == "-":
        while chunk := sys.stdin.buffer.read(READ_BYTES):
            examiner.feed(chunk)
        return
    with Path(source).open("rb") as file:
        while chunk := file.read(READ_BYTES):
            examiner.feed(chunk)


async def _feed_url(examiner: Examiner, url: str, settings: Settings) -> None:
    gate = Gate()
    cap = ByteCap(max_bytes=settings.size.max_bytes)
    async with gate.open(SourceRequest(url=url), settings, lambda _hop: None) as source:
        while chunk := await source.read():
            cap.feed(chunk)
            examiner.feed(chunk)
    await gate.close()


def _tell(screen: Screen, source: str, report: Inspection, verdict: Verdict) -> None:
    is_accepted = verdict.code == "ok"
    words = ("accepted", "bold green") if is_accepted else ("refused", "bold red")
    code = "" if is_accepted else f"  {verdict.code}"
    screen.out.print(Text.assemble((plain(source), "bold"), "  ", words, (code, "dim")))
    broken = [finding.reason for finding in report.findings[1:]]
    screen.facts(
        [
            ("is", report.name),
            ("disk format", report.disk_format),
            ("size", exact_words(report.seen_bytes)),
            ("disk", exact_words(report.virtual_bytes)),
            *((name.replace("_", " "), _fact(value)) for name, value in report.facts.items()),
            ("why", None if is_accepted else verdict.title),
            *(("also", reason) for reason in broken),
            ("what to do", verdict.advice),
        ]
    )


def _fact(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(str(item) for item in value)
    return f"{value:,}" if isinstance(value, int) else str(value)
