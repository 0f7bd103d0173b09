"""Commands that work without a server: serve, and pull into the local store."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fetcher.api.submit.body import convert
from fetcher.api.submit.imports import SubmitBody
from fetcher.api.submit.views import import_view
from fetcher.cli.choices import AsJson, ConfigFile, Wanted
from fetcher.cli.exits import Exit, exit_of_import
from fetcher.cli.progress import Bar
from fetcher.cli.screen import Screen
from fetcher.cli.story import tell_end
from fetcher.logs import set_up_logs
from fetcher.model import Actor

if TYPE_CHECKING:
    from fetcher.service import Service

FOLLOW_SECONDS = 0.1


def serve(*, config: ConfigFile = None, listen: str | None = None) -> int:
    """Serve the page and the APIs until a signal ends it.

    Args:
        config: The operator's file, laid over `config.toml` key by key.
        listen: HOST:PORT in place of `server.listen`.
    """
    from fetcher import service as server

    arguments = ["--config", str(config)] if config else []
    return server.main([*arguments, *(["--listen", listen] if listen else [])])


def pull(
    url: str,
    *,
    config: ConfigFile = None,
    store: Path | None = None,
    json: AsJson = False,
    wanted: Wanted = Wanted(),  # noqa: B008 - frozen
) -> Exit:
    """Pull a URL into the local store, without a server.

    The same guards judge it as on a server. Ctrl-C cancels it, and nothing is left.

    Args:
        url: Where the image is.
        config: The operator's file, laid over `config.toml` key by key.
        store: The store's folder, in place of `store.folder`.
        json: Print one JSON document instead of words.
    """
    from fetcher.service import Service

    changes: dict[str, dict[str, Any]] = {"log": {"level": "error"}}
    if store:
        changes["store"] = {"folder": str(store.resolve())}
    service = Service(config, changes)
    set_up_logs(service.settings)
    screen = Screen(as_json=json)
    body = convert(wanted.body(url), SubmitBody)
    with Bar(screen.err, is_shown=screen.is_watched) as bar:
        document, sha256 = asyncio.run(_pull(service, body, bar.show))
    if screen.as_json:
        screen.json(document)
        return exit_of_import(document)
    tell_end(screen, document)
    if document["state"] == "succeeded":
        blob = service.folder / "blobs" / sha256[:2] / sha256
        screen.facts([("file", blob)], to_err=True)
        if screen.is_pipe:
            screen.line(blob)
    return exit_of_import(document)


async def _pull(
    service: "Service", body: SubmitBody, show: Callable[[dict[str, Any]], None]
) -> tuple[dict[str, Any], str]:
    actor = Actor(
        project_id=service.settings.auth.project, user_id="command-line", roles=frozenset({"admin"})
    )
    document: dict[str, Any] = {}
    async with service.open_services() as house:
        record = await house.importer.submit(actor, body.to_submission(actor, house.settings()))
        try:
            async for newer in house.importer.follow(record.id, actor, least_seconds=FOLLOW_SECONDS):
                document = import_view(newer, "")
                show(document)
        except asyncio.CancelledError:
            await house.importer.cancel(record.id, actor)
            print("Cancelled; nothing of it is left.", file=sys.stderr)
            raise
    return document, document["digests"].get("sha256", "")
