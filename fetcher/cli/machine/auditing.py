"""Commands on the audit trail's chain of digests."""

import asyncio
import re
from pathlib import Path

import msgspec

from fetcher.cli.choices import AsJson, ConfigFile
from fetcher.cli.exits import Exit
from fetcher.cli.machine.store import looking, open_service
from fetcher.cli.screen import Screen
from fetcher.index.values import AuditHead, AuditReport

_HEAD = re.compile(r"(\d{1,18}):([0-9a-f]{64})")


def head(*, config: ConfigFile = None, json: AsJson = False) -> Exit:
    """Print the last line's number and digest; keep it elsewhere.

    Whoever can write the index can write a whole new trail. They cannot make one that contains a head which
    they did not know of when it was exported.

    Args:
        config: The operator's file, laid over `config.toml` key by key.
        json: Print one JSON document instead of words.
    """
    screen = Screen(as_json=json)
    found = asyncio.run(_head(config))
    if screen.as_json:
        screen.json(msgspec.to_builtins(found))
    else:
        screen.line(str(found))
    return Exit.OK


async def _head(config: Path | None) -> AuditHead:
    async with looking(open_service(config)) as (index, _store):
        return await index.audit.head()


def verify(*, head: str | None = None, config: ConfigFile = None, json: AsJson = False) -> Exit:
    """Compute the digests of the audit trail anew, and compare with a head that was exported.

    The exit code is 10 where lines were changed, removed or added in between.

    Args:
        head: NUMBER:DIGEST as `fetcher audit head` printed it; the trail has to contain it.
        config: The operator's file, laid over `config.toml` key by key.
        json: Print one JSON document instead of words.
    """
    expected = None
    if head is not None:
        parts = _HEAD.fullmatch(head.strip())
        if parts is None:
            raise ValueError("--head is given as NUMBER:DIGEST, as `fetcher audit head` prints it.")
        expected = AuditHead(number=int(parts[1]), digest=parts[2])
    screen = Screen(as_json=json)
    report = asyncio.run(_verify(config, expected))
    if screen.as_json:
        screen.json(msgspec.to_builtins(report))
    else:
        for fault in report.faults:
            screen.say(f"{fault[:1].upper()}{fault[1:]}.", "red")
        screen.facts([("lines", report.lines), ("before the chain", report.unchained or None)], to_err=True)
        screen.line(str(report.head))
    return Exit.DAMAGED if report.faults else Exit.OK


async def _verify(config: Path | None, expected: AuditHead | None) -> AuditReport:
    async with looking(open_service(config)) as (index, _store):
        return await index.audit.verify(expected)
