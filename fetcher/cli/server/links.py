"""Commands on links that let anybody fetch one image for a time."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fetcher.cli.choices import AsJson, ConfigFile, Server
from fetcher.cli.client import segment
from fetcher.cli.exits import Exit
from fetcher.cli.screen import Screen
from fetcher.cli.server.images import find

if TYPE_CHECKING:
    from fetcher.attest.links import LinkKey
    from fetcher.config import Settings


def link(image: str, *, hours: float | None = None, server: Server = Server()) -> Exit:  # noqa: B008 - frozen
    """Make a link with which anybody may fetch an image for a time.

    The holder of the link needs nothing else: hand it on as a secret.

    Args:
        image: Its ID, or its first characters.
        hours: How long the link lives; by default as long as the operator says.
    """
    client, screen = server.client(), server.screen()
    body: dict[str, Any] = {} if hours is None else {"seconds": hours * 3600}
    made = client.call("POST", f"/images/{segment(find(client, image)['id'])}/links", body)
    if screen.as_json:
        screen.json(made)
        return Exit.OK
    screen.line(made["url"])
    known = f"; the bytes have the sha256 {made['sha256']}" if made["sha256"] else ""
    screen.say(f"It ends at {made['expires_at']}{known}.")
    return Exit.OK


def revoke(*, config: ConfigFile = None, json: AsJson = False) -> Exit:
    """End every link to an image that was made so far; a server may run, and takes none of them any more.

    Args:
        config: The operator's file, laid over `config.toml` key by key.
        json: Print one JSON document instead of words.
    """
    from fetcher.config import data_folder, load_settings

    screen, settings = Screen(as_json=json), load_settings(config)
    made = asyncio.run(_revoke(settings, data_folder(settings, config)))
    if screen.as_json:
        screen.json({"key_id": made.key_id})
    else:
        screen.say("No link that was made so far is good any more.")
    return Exit.OK


async def _revoke(settings: "Settings", folder: Path) -> "LinkKey":
    from fetcher.attest import KeyFolder
    from fetcher.attest.links import FolderKeyStorage, LinkKeys
    from fetcher.engine.key_storage import key_storage_of
    from fetcher.engine.opening import look_over
    from fetcher.index import open_index
    from fetcher.store.configured import index_path

    keys = KeyFolder.of(folder).path
    if not settings.index.is_shared:
        return await LinkKeys(FolderKeyStorage(keys)).revoke()
    async with open_index(settings.index, index_path(folder)) as index:
        return await LinkKeys(key_storage_of(look_over(settings.index, index), keys)).revoke()
