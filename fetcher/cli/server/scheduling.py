"""Commands on images that are kept new."""

from typing import Annotated, Any, Literal

from cyclopts import Parameter

from fetcher.cli.choices import Server, WebhookReceiver
from fetcher.cli.client import segment
from fetcher.cli.exits import Exit

Secret = Annotated[str | None, Parameter(env_var="FETCHER_NOTIFY_SECRET", show_env_var=True)]


def add(  # noqa: PLR0913 - all options of the command
    catalogue: str,
    name: str,
    *,
    keep: int = 3,
    retire: Literal["hide", "show"] = "hide",
    hours: float | None = None,
    visibility: str = "private",
    receiver: WebhookReceiver = WebhookReceiver(),  # noqa: B008 - frozen
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
    body |= {"visibility": visibility, **receiver.fields()}
    body |= {} if hours is None else {"interval_seconds": hours * 3600}
    made = client.call("POST", "/schedules", body)
    if screen.as_json:
        screen.json(made)
    else:
        screen.line(made["id"])
    return Exit.OK


def change(  # noqa: PLR0913 - all options of the command
    id: str,  # noqa: A002 - the reference's name
    *,
    name: str | None = None,
    catalogue: str | None = None,
    keep: int | None = None,
    retire: Literal["hide", "show"] | None = None,
    hours: float | None = None,
    visibility: str | None = None,
    notify: str | None = None,
    notify_secret: Secret = None,
    server: Server = Server(),  # noqa: B008 - frozen
) -> Exit:
    """Change a schedule; what is not named stays as it is.

    Args:
        id: Of the schedule.
        name: What the newest image is called from now on.
        catalogue: The image's name in a catalogue.
        keep: How many images stay, the newest among them; 0 keeps all.
        retire: Whether lists hide the older ones.
        hours: Between two looks.
        visibility: Who sees the images to come.
        notify: A URL that is notified when an import of this schedule has ended; "" notifies nobody.
        notify_secret: Signs the notifications.
    """
    screen = server.screen()
    given: dict[str, Any] = {"name": name, "catalogue": catalogue, "keep": keep, "retire": retire}
    given |= {"visibility": visibility, "notify_secret": notify_secret}
    given |= {"interval_seconds": None if hours is None else hours * 3600}
    body = {field: value for field, value in given.items() if value is not None}
    if notify is not None:
        body["notify_url"] = notify or None
    document = server.client().call("PATCH", f"/schedules/{segment(id)}", body)
    if screen.as_json:
        screen.json(document)
    else:
        screen.say(f"Changed schedule {document['id']}.")
    return Exit.OK


def show(*, server: Server = Server()) -> Exit:  # noqa: B008 - frozen
    """List the images that are kept new, and how the last look ended."""
    screen = server.screen()
    client, found, marker = server.client(), list[dict[str, Any]](), ""
    while True:
        document = client.get(f"/schedules{marker}")
        found += document["schedules"]
        if not document.get("next") or not document["schedules"]:
            break
        marker = f"?marker={segment(found[-1]['id'])}"
    document = {"schedules": found}
    if screen.as_json:
        screen.json(document)
        return Exit.OK
    headings = ("ID", "NAME", "CATALOGUE", "SERIAL", "LAST LOOK", "NEXT LOOK")
    rows = (
        (one["id"], one["name"], one["catalogue"], one["serial"], one["code"], one["next_at"])
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
