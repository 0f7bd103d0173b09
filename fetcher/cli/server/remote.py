"""Commands that talk to a server: submit, follow, list, show, cancel, limits."""

import time
from collections.abc import Iterator
from typing import Annotated, Any, Literal
from uuid import uuid4

from cyclopts import Parameter

from fetcher.api.submit.words import limit_words, rate_words, size_words, title_of
from fetcher.cli.choices import Key, Server, Wanted, WebhookReceiver
from fetcher.cli.client import Client, Refused, Unreachable, segment
from fetcher.cli.exits import Exit, exit_of_import
from fetcher.cli.ids import IMAGES, IMPORTS, is_unknown, unknown, whole_id
from fetcher.cli.progress import Bar
from fetcher.cli.screen import Screen
from fetcher.cli.story import show_end, show_image, show_import

ImportState = Literal["queued", "running", "waiting", "succeeded", "refused", "failed", "cancelled"]
ImageStatus = Literal["queued", "importing", "active", "deactivated"]
RECONNECTS = 5
RECONNECT_SECONDS = 2.0


def submit(  # noqa: PLR0913 - all options of the command
    url: str,
    *,
    wait: Annotated[bool, Parameter(negative="")] = False,
    key: Key = None,
    receiver: WebhookReceiver = WebhookReceiver(),  # noqa: B008 - frozen
    wanted: Wanted = Wanted(),  # noqa: B008 - frozen
    server: Server = Server(),  # noqa: B008 - frozen
) -> Exit:
    """Submit a URL to a server.

    Args:
        url: Where the image is.
        wait: Follow the import to its end; the exit code then says how it ended, and Ctrl-C cancels it.
        key: An Idempotency-Key: the same command run twice with it makes one import.
    """
    client, screen = server.client(), server.screen()
    headers = {"Idempotency-Key": key or f"cli-{uuid4()}"}
    document = client.call("POST", "/imports", wanted.body(url) | receiver.fields(), headers)
    if not wait:
        if screen.as_json:
            screen.json(document)
        else:
            screen.line(document["id"])
            screen.say(f"Follow it with: fetcher show {document['id']} --wait", "dim")
        return Exit.OK
    return follow_to_end(client, screen, document, is_ours=True)


def follow_to_end(client: Client, screen: Screen, document: dict[str, Any], *, is_ours: bool) -> Exit:
    """Show an import until it ends.

    Args:
        is_ours: This command submitted it, so Ctrl-C cancels it.
    """
    try:
        with Bar(screen.err, is_shown=screen.is_watched) as bar:
            bar.show(document)
            for newer in changes(client, document["id"]):
                document = newer
                bar.show(document)
    except KeyboardInterrupt:
        if is_ours:
            _cancel_quietly(client, screen, document["id"])
        else:
            screen.say("Not followed any more; the import goes on.", "yellow")
        return Exit.INTERRUPTED
    if screen.as_json:
        screen.json(document)
    else:
        show_end(screen, document)
        if screen.is_pipe and document["state"] == "succeeded":
            screen.line(document["image_id"])
    return exit_of_import(document)


def changes(client: Client, import_id: str) -> Iterator[dict[str, Any]]:
    """Yield every change of an import to its end; a stream that breaks off is taken up again."""
    path = f"/imports/{segment(import_id)}/events"
    for left in reversed(range(RECONNECTS)):
        try:
            for name, document in client.events(path):
                yield document
                if name == "end":
                    return
        except Unreachable:
            if left == 0:
                raise
        time.sleep(RECONNECT_SECONDS)
    raise Unreachable("The server keeps breaking off; the import goes on without us.")


def _cancel_quietly(client: Client, screen: Screen, import_id: str) -> None:
    try:
        client.call("DELETE", f"/imports/{segment(import_id)}")
    except (Refused, Unreachable) as error:
        screen.say(f"Not cancelled: {error}", "yellow")
    else:
        screen.say(f"Cancelled import {import_id}; nothing of it is left.", "yellow")


def imports(  # noqa: PLR0913 - one for each option
    *,
    state: ImportState | None = None,
    code: str | None = None,
    attempt_code: str | None = None,
    limit: int | None = None,
    marker: str | None = None,
    server: Server = Server(),  # noqa: B008 - frozen
) -> Exit:
    """List imports, the newest first.

    Args:
        state: Only those in this state.
        code: Only those that ended by this code, for administrators also by the true one: address-forbidden.
        attempt_code: Only those of which an attempt ended by this code, whatever came of the import.
        limit: At most this many.
        marker: Go on after this id.
    """
    screen = server.screen()
    asked = {"state": state, "code": code, "attempt_code": attempt_code, "limit": limit, "marker": marker}
    document = server.client().get("/imports", **asked)
    if screen.as_json:
        screen.json(document)
        return Exit.OK
    headings = ("ID", "STATE", "DONE", "RATE", "CODE", "WHAT")
    screen.table(headings, (_import_row(item) for item in document["imports"]))
    _say_more(screen, document["imports"], document.get("next"))
    return Exit.OK


def _import_row(item: dict[str, Any]) -> tuple[object, ...]:
    shown = item["progress"]
    percent = shown["percent"]
    done = size_words(shown["received_bytes"]) if percent is None else f"{percent:.0f} %"
    rate = "" if item["ended_at"] else rate_words(shown["bytes_per_second"])
    return (item["id"], item["state"], done, rate, (item["verdict"] or {}).get("code"), title_of(item))


def images(
    *,
    name: str | None = None,
    status: ImageStatus | None = None,
    limit: int | None = None,
    marker: str | None = None,
    server: Server = Server(),  # noqa: B008 - frozen
) -> Exit:
    """List images, the newest first.

    Args:
        name: Only those of this name.
        status: Only those with this status.
        limit: At most this many.
        marker: Go on after this id.
    """
    screen = server.screen()
    document = server.client().get("/v2/images", name=name, status=status, limit=limit, marker=marker)
    if screen.as_json:
        screen.json(document)
        return Exit.OK
    rows = (
        (
            image["id"],
            image["status"],
            image.get("disk_format"),
            size_words(image.get("size")),
            image.get("name"),
        )
        for image in document["images"]
    )
    screen.table(("ID", "STATUS", "FORMAT", "SIZE", "NAME"), rows)
    _say_more(screen, document["images"], document.get("next"))
    return Exit.OK


def _say_more(screen: Screen, items: list[dict[str, Any]], following: str | None) -> None:
    if not items and not screen.is_pipe:
        screen.say("None yet.", "dim")
    if following and items:
        screen.say(f"More: --marker {items[-1]['id']}", "dim")


def show(
    id: str,  # noqa: A002 - the name that the reference shows
    *,
    wait: Annotated[bool, Parameter(negative="")] = False,
    server: Server = Server(),  # noqa: B008 - frozen
) -> Exit:
    """Show an import or an image.

    Args:
        id: Of an import or an image, or its first characters (at least 4).
        wait: Follow an import to its end; the exit code then says how it ended.
    """
    client, screen = server.client(), server.screen()
    found = whole_id(client, id, IMPORTS, IMAGES)
    try:
        document = client.get(f"{IMPORTS}/{segment(found)}")
    except Refused as error:
        if error.code != "unknown-import":
            raise
        return _show_image(client, screen, found)
    if wait:
        return follow_to_end(client, screen, document, is_ours=False)
    if screen.as_json:
        screen.json(document)
    else:
        show_import(screen, document)
    return Exit.OK


def _show_image(client: Client, screen: Screen, image_id: str) -> Exit:
    try:
        image = client.get(f"{IMAGES}/{segment(image_id)}")
    except Refused as error:
        if not is_unknown(error):
            raise
        raise unknown("import or image", image_id, "`fetcher imports` or `fetcher images`") from error
    if screen.as_json:
        screen.json(image)
    else:
        show_image(screen, image)
    return Exit.OK


def cancel(
    id: str,  # noqa: A002 - the name that the reference shows
    *,
    server: Server = Server(),  # noqa: B008 - frozen
) -> Exit:
    """Cancel an import; nothing of it is left.

    Args:
        id: Of the import, or its first characters (at least 4).
    """
    client, screen = server.client(), server.screen()
    found = whole_id(client, id, IMPORTS)
    client.call("DELETE", f"{IMPORTS}/{segment(found)}")
    if screen.as_json:
        screen.json(client.get(f"{IMPORTS}/{segment(found)}"))
    screen.say(f"Cancelled import {found}; nothing of it is left.")
    return Exit.OK


def limits(*, server: Server = Server()) -> Exit:  # noqa: B008 - frozen
    """Show every limit in force on a server."""
    screen = server.screen()
    document = server.client().get("/limits")
    if screen.as_json:
        screen.json(document)
        return Exit.OK
    words = _exact_words if screen.is_pipe else limit_words
    rows = (
        (name, words(name, limit["value"]), limit["description"])
        for name, limit in document["limits"].items()
    )
    screen.table(("LIMIT", "VALUE", "WHAT IT IS"), rows, is_prose=True)
    return Exit.OK


def _exact_words(_name: str, value: object) -> str:
    """Return a limit's value for programs."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
