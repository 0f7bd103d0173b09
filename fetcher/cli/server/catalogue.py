"""The command that finds images by name."""

from typing import Any

from fetcher.api.submit.words import size_words
from fetcher.cli.choices import Server
from fetcher.cli.exits import Exit


def catalogue(
    *words: str,
    arch: str | None = None,
    limit: int | None = None,
    server: Server = Server(),  # noqa: B008 - frozen
) -> Exit:
    """Find images by name in a server's catalogues.

    Args:
        words: Which the name or the title has to hold.
        arch: Only images for this architecture: x86_64, aarch64 ...
        limit: At most this many.
    """
    client, screen = server.client(), server.screen()
    document = client.get("/catalogue", q=" ".join(words) or None, arch=arch, limit=limit)
    if screen.as_json:
        screen.json(document)
        return Exit.OK
    headings = ("NAME", "ARCH", "SERIAL", "AGE", "END OF LIFE", "SIZE", "CATALOGUE")
    screen.table(headings, (_row(image) for image in document["images"]))
    for one in document["catalogues"]:
        if one["trouble"]:
            screen.say(f"Catalogue {one['name']}: {one['trouble']}.", "yellow")
    if not document["catalogues"]:
        screen.say("The server has no catalogue; its operator names some as [[catalogue]].", "dim")
    if document["more"]:
        screen.say(f"{document['more']:,} more; name further words, or --limit.", "dim")
    return Exit.OK


def _row(image: dict[str, Any]) -> tuple[object, ...]:
    age = "" if image["age_days"] is None else f"{image['age_days']} d"
    end = image["end_of_life"] or ""
    if image["has_ended"]:
        end = f"{end} (ended)"
    size = size_words(image["size"]) if image["size"] else ""
    return (image["name"], image["arch"], image["serial"], age, end, size, image["catalogue"])
