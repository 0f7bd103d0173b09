"""Commands on images that are kept new."""

from typing import Any, Literal

from fetcher.cli.choices import Server
from fetcher.cli.client import segment
from fetcher.cli.exits import Exit


def add(  # noqa: PLR0913 - all options of the command
    catalogue: str,
    name: str,
    *,
    keep: int = 3,
    retire: Literal["hide", "show"] = "hide",
    hours: float | None = None,
    visibility: str = "private",
    server: Server = Server(),  # noqa: B008 - frozen
) -> Exit:
    """Keep an image new: look for a newer one now and then, import it, and give it the name.

    Args:
        catalogue: The image's name in a catalogue, such as ubuntu:26.04.
        name: What the newest image is called, always.
        keep: How many images stay, the newest among them; 0 keeps all. Protected ones are never deleted.
        retire: Whether lists hide the older ones.
        hours: Between two looks; by default the server's.
        visibility: Who sees the images: private, shared, community or public.
    """
    client, screen = server.client(), server.screen()
    body: dict[str, Any] = {"catalogue": catalogue, "name": name, "keep": keep, "retire": retire}
    body |= {"visibility": visibility, **({} if hours is None else {"interval_seconds": hours * 3600})}
    made = client.call("POST", "/schedules", body)
    if screen.as_json:
        screen.json(made)
    else:
        screen.line(made["id"])
    return Exit.OK


def show(*, server: Server = Server()) -> Exit:  # noqa: B008 - frozen
    """List the images that are kept new, and how the last look ended."""
    screen = server.screen()
    document = server.client().get("/schedules")
    if screen.as_json:
        screen.json(document)
        return Exit.OK
    headings = ("ID", "NAME", "CATALOGUE", "SERIAL", "LAST LOOK")
    rows = (
        (one["id"], one["name"], one["catalogue"], one["serial"], one["code"])
        for one in document["schedules"]
    )
    screen.table(headings, rows)
    for one in document["schedules"]:
        for words in (one["detail"], one["warning"]):
            if words:
                screen.say(f"{one['name']}: {words}", "yellow")
    return Exit.OK


def run(id: str, *, server: Server = Server()) -> Exit:  # noqa: A002, B008 - the reference's name; frozen
    """Look for a newer image now.

    Args:
        id: Of the schedule.
    """
    screen = server.screen()
    document = server.client().call("POST", f"/schedules/{segment(id)}/run")
    if screen.as_json:
        screen.json(document)
    else:
        screen.say(f"Looking for a newer {document['catalogue']}.")
    return Exit.OK


def remove(id: str, *, server: Server = Server()) -> Exit:  # noqa: A002, B008 - the reference's name; frozen
    """Keep an image new no longer; its images stay.

    Args:
        id: Of the schedule.
    """
    screen = server.screen()
    server.client().call("DELETE", f"/schedules/{segment(id)}")
    if screen.as_json:
        screen.json({"removed": id})
    else:
        screen.say(f"Removed schedule {id}; its images stay.")
    return Exit.OK
