"""Commands that change and save images of a server, by its Image API."""

from typing import Annotated, Any

from cyclopts import Parameter

from fetcher.cli.choices import Server
from fetcher.cli.client import Client, Refused, segment
from fetcher.cli.exits import Exit
from fetcher.cli.ids import IMAGES, is_unknown, unknown, whole_id
from fetcher.cli.screen import Screen

PATCH = {"Content-Type": "application/openstack-images-v2.1-json-patch"}

Tags = Annotated[tuple[str, ...], Parameter(negative="")]


def find(client: Client, text: str) -> dict[str, Any]:
    """Return the image with this id, or with the one id that begins like this.

    Raises:
        CommandFailed: There is none, or there are several.
        Refused, Unreachable: As for every call.
    """
    try:
        image: dict[str, Any] = client.get(f"{IMAGES}/{segment(whole_id(client, text, IMAGES))}")
    except Refused as error:
        if is_unknown(error):
            raise unknown("image", text, "`fetcher images`") from error
        raise
    return image


def delete(*id: str, server: Server = Server()) -> Exit:  # noqa: A002, B008 - the reference's name; frozen
    """Delete images; this cannot be undone.

    Nothing is deleted if one of the IDs is of no image.

    Args:
        id: Of the image, or its first characters; several may be given.
    """
    client, screen = server.client(), server.screen()
    if not id:
        raise ValueError("Name the image to delete by its ID.")
    found = {image["id"]: image for image in (find(client, text) for text in id)}
    for image_id, image in found.items():
        client.call("DELETE", f"{IMAGES}/{segment(image_id)}")
        screen.say(f"Deleted image {_title(image)}.")
    if screen.as_json:
        screen.json({"deleted": list(found)})
    return Exit.OK


def rename(
    id: str,  # noqa: A002 - the name that the reference shows
    name: str,
    *,
    server: Server = Server(),  # noqa: B008 - frozen
) -> Exit:
    """Give an image another name.

    Args:
        id: Of the image, or its first characters.
        name: What to call it from now on.
    """
    client, screen = server.client(), server.screen()
    image = find(client, id)
    change = [{"op": "replace", "path": "/name", "value": name}]
    changed = client.call("PATCH", f"{IMAGES}/{segment(image['id'])}", change, PATCH)
    _show(screen, changed, f"Image {_title(image)} is called {name} now.")
    return Exit.OK


def tag(
    id: str,  # noqa: A002 - the name that the reference shows
    *,
    add: Tags = (),
    remove: Tags = (),
    server: Server = Server(),  # noqa: B008 - frozen
) -> Exit:
    """Add tags to an image, and remove tags from it.

    Args:
        id: Of the image, or its first characters.
        add: A tag that the image is to have; may be given several times.
        remove: A tag that the image is not to have; may be given several times.
    """
    client, screen = server.client(), server.screen()
    if not add and not remove:
        raise ValueError("Name a tag with --add or --remove.")
    image = find(client, id)
    place = f"{IMAGES}/{segment(image['id'])}"
    for name in add:
        client.call("PUT", f"{place}/tags/{segment(name)}")
    for name in (name for name in remove if name in (*image.get("tags", ()), *add)):
        client.call("DELETE", f"{place}/tags/{segment(name)}")
    changed = client.get(place)
    _show(screen, changed, f"Tags of image {_title(image)}: {', '.join(changed['tags']) or 'none'}.")
    return Exit.OK


def _title(image: dict[str, Any]) -> str:
    return f"{image['id']} ({image['name']})" if image.get("name") else str(image["id"])


def _show(screen: Screen, image: dict[str, Any], words: str) -> None:
    screen.say(words)
    if screen.as_json:
        screen.json(image)
