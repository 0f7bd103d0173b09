"""The command that says what bytes are, without importing them."""

import asyncio
import sys
from collections.abc import Callable, Sequence
from functools import partial
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
from fetcher.guards import Chain, GuardContext, Purpose
from fetcher.guards.base import Guard
from fetcher.guards.stream.formats import Inspection, Inspector
from fetcher.importer import verdict_of
from fetcher.model import Submission, Verdict
from fetcher.pipeline import PeerClock
from fetcher.settings.guards.formats import ContainerFormat, DiskFormat
from fetcher.transport import Gate, Source, SourceRequest

READ_BYTES = 1_048_576
ACCEPTED = Verdict(code="ok", title="It would be accepted here.")


class Examiner:
    """Looks at bytes twice: as the importer's guards, which stop at a refusal, and to report all findings.

    Args:
        guards: Those of the importer, for this purpose.
    """

    def __init__(self, guards: Sequence[Guard]) -> None:
        self._guards = guards
        self._inspector = Inspector()
        self.verdict = ACCEPTED

    def feed(self, chunk: bytes) -> None:
        """Look at the next bytes."""
        self._inspector.feed(chunk)
        for guard in self._guards:
            self._judge(partial(guard.feed, chunk))

    def finish(self) -> Inspection:
        """Judge the whole, and return what it is."""
        self._inspector.finish()
        for guard in self._guards:
            self._judge(guard.finish)
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
    disk_format: DiskFormat | None = None,
    container_format: ContainerFormat | None = None,
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
    chain = Chain(GuardContext(purpose=Purpose.INSPECT, settings=settings, submission=claims))
    if "://" in source:
        examiner = asyncio.run(_examine_url(chain, source, settings))
    else:
        examiner = Examiner(chain.guards)
        _feed_file(examiner, source)
    report = examiner.finish()
    screen = Screen(as_json=json)
    is_accepted = examiner.verdict is ACCEPTED
    if screen.as_json:
        found = msgspec.to_builtins(report)
        verdict = msgspec.to_builtins(examiner.verdict)
        screen.json({"source": source, "accepted": is_accepted, "verdict": verdict, "found": found})
    else:
        _show(screen, source, report, examiner.verdict)
    return Exit.OK if is_accepted else Exit.REFUSED


def _feed_file(examiner: Examiner, source: str) -> None:
    if source == "-":
        while chunk := sys.stdin.buffer.read(READ_BYTES):
            examiner.feed(chunk)
        return
    with Path(source).open("rb") as file:
        while chunk := file.read(READ_BYTES):
            examiner.feed(chunk)


async def _examine_url(chain: Chain, url: str, settings: Settings) -> Examiner:
    gate = Gate()
    clock = PeerClock(asyncio.get_running_loop().time)
    examiner = Examiner([*chain.guards, *chain.of_peer(clock)])
    seen_bytes = 0
    async with gate.open(SourceRequest(url=url), settings, lambda _hop: None) as source:
        while chunk := await _read(source, clock):
            examiner.feed(chunk)
            seen_bytes += len(chunk)
            if seen_bytes > settings.size.max_bytes:
                break  # Refused by now; it may have no end.
    await gate.close()
    return examiner


async def _read(source: Source, clock: PeerClock) -> bytes:
    clock.start()
    try:
        return await source.read()
    finally:
        clock.stop()


def _show(screen: Screen, source: str, report: Inspection, verdict: Verdict) -> None:
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
