"""Shows the hosts that share one database."""

import asyncio
from typing import Any

import msgspec

from fetcher.cli.choices import AsJson, ConfigFile
from fetcher.cli.exits import Exit
from fetcher.cli.machine.store import open_service
from fetcher.cli.screen import Screen
from fetcher.engine.opening import look_at
from fetcher.engine.values import HostState
from fetcher.errors import Conflict
from fetcher.index import open_index


def cluster(*, config: ConfigFile = None, json: AsJson = False) -> Exit:
    """Show the hosts that share a database, what each does, and the queue.

    Args:
        config: The operator's file, laid over `config.toml` key by key.
        json: Print one JSON document instead of words.
    """
    service, screen = open_service(config), Screen(as_json=json)
    if not service.settings.index.is_shared:
        raise Conflict(reason="the records are in SQLite, which one host has for itself; see [index] url")
    hosts, counts = asyncio.run(_look(service))
    if screen.as_json:
        screen.json({"hosts": msgspec.to_builtins(hosts), "imports": counts})
        return Exit.OK if all(host.is_alive for host in hosts) else Exit.BUSY
    rows = (
        (
            host.name,
            f"{host.seconds:.0f} s" if host.is_alive else f"over for {-host.seconds:.0f} s",
            "+".join(host.roles),
            str(host.running),
            str(host.places),
            ", ".join(host.chores),
            host.engine,
            host.version,
        )
        for host in hosts
    )
    screen.table(("HOST", "LEASE", "ROLES", "IMPORTS", "PULLS", "DOES FOR ALL", "ENGINE", "VERSION"), rows)
    screen.say(f"{counts.get('queued', 0):,} imports wait, {sum(counts.values()):,} have not ended.")
    return Exit.OK if all(host.is_alive for host in hosts) else Exit.BUSY


async def _look(service: Any) -> tuple[list[HostState], dict[str, int]]:
    async with open_index(service.settings.index, service.folder / "index.sqlite") as index:
        return await look_at(index), await index.imports.counts()
