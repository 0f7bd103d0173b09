"""Commands on links that let anybody fetch one image for a time."""

from typing import Any

from fetcher.cli.choices import AsJson, ConfigFile, Server
from fetcher.cli.client import segment
from fetcher.cli.exits import Exit
from fetcher.cli.images import find
from fetcher.cli.screen import Screen


def link(image: str, *, hours: float | None = None, server: Server = Server()) -> Exit:  # noqa: B008 - frozen
    """Make a link with which anybody may fetch an image for a time.

    Whoever has the link needs nothing else: hand it on as a secret.

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
    screen.say(f"It ends at {made['expires_at']}; the bytes have the sha256 {made['sha256']}.")
    return Exit.OK


def revoke(*, config: ConfigFile = None, json: AsJson = False) -> Exit:
    """End every link to an image that was made so far; a server may run, and takes none of them any more.

    Args:
        config: The operator's file, laid over `config.toml` key by key.
        json: Print one JSON document instead of words.
    """
    from fetcher.attest import KeyFolder
    from fetcher.attest.links import LinkKeys
    from fetcher.config import data_folder, load_settings

    screen = Screen(as_json=json)
    made = LinkKeys(KeyFolder.of(data_folder(load_settings(config), config)).path).revoke()
    if screen.as_json:
        screen.json({"key_id": made.key_id})
    else:
        screen.say("No link that was made so far is good any more.")
    return Exit.OK
