"""The command that says what bytes are, without importing them."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import msgspec
from rich.text import Text

from fetcher.api.words import exact_words
from fetcher.cli.choices import AsJson, ConfigFile
from fetcher.cli.exits import Exit
from fetcher.cli.screen import Screen, plain
from fetcher.config import Settings, load_settings
from fetcher.guards.formats import Inspection, Inspector
from fetcher.guards.size import ByteCap
from fetcher.transport import Gate, SourceRequest

READ_BYTES = 1_048_576


def inspect(source: str, *, config: ConfigFile = None, json: AsJson = False) -> Exit:
    """Say what an image is and whether it is safe to boot from, without importing it.

    The exit code is 0 for an image that would be accepted here, 3 for one that would not.

    Args:
        source: A file, a URL, or - for standard input.
        config: The operator's file, laid over `config.toml` key by key.
        json: Print one JSON document instead of words.
    """
    settings = load_settings(config)
    inspector = Inspector()
    if "://" in source:
        asyncio.run(_feed_url(inspector, source, settings))
    else:
        _feed_file(inspector, source)
    inspector.finish()
    report = inspector.report()
    refusals = list(_refusals(report, settings))
    screen = Screen(as_json=json)
    if screen.as_json:
        screen.json({"source": source, "accepted": not refusals, **msgspec.to_builtins(report)})
    else:
        _tell(screen, source, report, refusals)
    return Exit.REFUSED if refusals else Exit.OK


def _feed_file(inspector: Inspector, source: str) -> None:
    if source == "-":
        while chunk := sys.stdin.buffer.read(READ_BYTES):
            inspector.feed(chunk)
        return
    with Path(source).open("rb") as file:
        while chunk := file.read(READ_BYTES):
            inspector.feed(chunk)


async def _feed_url(inspector: Inspector, url: str, settings: Settings) -> None:
    gate = Gate()
    cap = ByteCap(max_bytes=settings.size.max_bytes)
    async with gate.open(SourceRequest(url=url), settings, lambda _hop: None) as source:
        while chunk := await source.read():
            cap.feed(chunk)
            inspector.feed(chunk)
    await gate.close()


def _refusals(report: Inspection, settings: Settings) -> list[str]:
    """Why the importer would refuse it, each reason once."""
    reasons = [finding.reason for finding in report.findings]
    if report.rivals:
        reasons.append(f"it is {' and '.join(report.rivals)} at the same time")
    elif report.disk_format is None and report.role is None:
        reasons.append(f"it is {report.words}, which is no image")
    elif report.disk_format and report.disk_format not in settings.format.disk_formats:
        reasons.append(f"{report.disk_format} is not accepted here")
    if report.virtual_bytes and report.virtual_bytes > settings.size.max_virtual_bytes:
        reasons.append(f"it describes a disk of {report.virtual_bytes:,} bytes, more than is allowed here")
    return reasons


def _tell(screen: Screen, source: str, report: Inspection, refusals: list[str]) -> None:
    verdict = ("refused", "bold red") if refusals else ("accepted", "bold green")
    screen.out.print(Text.assemble((plain(source), "bold"), "  ", verdict))
    facts: list[tuple[str, object]] = [
        ("is", report.name),
        ("disk format", report.disk_format),
        ("size", exact_words(report.seen_bytes)),
        ("disk", exact_words(report.virtual_bytes)),
        *((name.replace("_", " "), _fact(value)) for name, value in report.facts.items()),
        *(("refused", reason) for reason in refusals),
        *(("what to do", hint) for hint in _hints(report)),
    ]
    screen.facts(facts)


def _fact(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(str(item) for item in value)
    return f"{value:,}" if isinstance(value, int) else str(value)


def _hints(report: Inspection) -> list[str]:
    found = [finding.hint for finding in report.findings] or [report.hint]
    return list(dict.fromkeys(hint for hint in found if hint))
