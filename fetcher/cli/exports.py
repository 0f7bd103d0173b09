"""Commands that send images of a server to receivers."""

from typing import Annotated, Any

from cyclopts import Parameter

from fetcher.cli.choices import Server
from fetcher.cli.client import Client, segment
from fetcher.cli.exits import Exit, exit_of_import
from fetcher.cli.images import find
from fetcher.cli.screen import Screen

EXPORTS = "/exports"
Headers = Annotated[tuple[str, ...], Parameter(name="--header", negative="")]


def push(
    image: str,
    url: str,
    *,
    header: Headers = (),
    wait: Annotated[bool, Parameter(negative="")] = False,
    server: Server = Server(),  # noqa: B008 - frozen
) -> Exit:
    """Send an image to a URL that takes it, such as one that is signed for a PUT.

    Args:
        image: Its ID, or its first characters.
        url: Where it goes; its host must be one that the operator allows (`fetcher limits`).
        header: `Name: value`, for the receiver alone; may be given several times.
        wait: Wait for the end; the exit code tells how it ended.
    """
    client, screen = server.client(), server.screen()
    fields = dict(_split(text) for text in header)
    body = {"image": find(client, image)["id"], "url": url, "headers": fields}
    export = client.call("POST", EXPORTS, body)
    screen.say(f"Export {export['id']} of image {export['image_id']} to {export['receiver']}.")
    if wait:
        export = _followed(client, export["id"])
    return _tell(screen, export)


def exports(
    *,
    state: str | None = None,
    limit: int = 20,
    server: Server = Server(),  # noqa: B008 - frozen
) -> Exit:
    """List exports, the newest first.

    Args:
        state: Only those that are queued, running, waiting, succeeded, refused, failed or cancelled.
        limit: At most this many.
    """
    client, screen = server.client(), server.screen()
    narrowed = "" if state is None else f"&state={segment(state)}"
    found = client.get(f"{EXPORTS}?limit={limit}{narrowed}")
    if screen.as_json:
        screen.json(found)
        return Exit.OK
    rows = [
        (one["id"], one["state"], f"{one['progress']['percent']:g} %", one["receiver"])
        for one in found["exports"]
    ]
    screen.table(("ID", "STATE", "SENT", "RECEIVER"), rows)
    return Exit.OK


def _split(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        raise ValueError(f"--header wants `Name: value`, not {text!r}.")
    return name.strip(), value.strip()


def _followed(client: Client, export_id: str) -> dict[str, Any]:
    last: dict[str, Any] = {}
    for _name, document in client.events(f"{EXPORTS}/{segment(export_id)}/events"):
        last = document
    return last


def _tell(screen: Screen, export: dict[str, Any]) -> Exit:
    if screen.as_json:
        screen.json(export)
    elif export["verdict"] is not None:
        verdict = export["verdict"]
        screen.say(" ".join(words for words in (verdict["title"], verdict["advice"]) if words))
        if export["answer"].get("etag"):
            screen.say(f"ETag {export['answer']['etag']}")
    return exit_of_import(export)
