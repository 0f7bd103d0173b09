"""An id from its beginning: enough of it to distinguish it from the others."""

import re
from collections.abc import Iterator
from itertools import chain

from fetcher.cli.client import Client, Refused
from fetcher.cli.exits import CommandFailed, Exit

LEAST_CHARS = 4
PAGE_ITEMS = 1000
MAX_PAGES = 100
MAX_NAMED = 8
IMPORTS = "/imports"
IMAGES = "/v2/images"

_BEGINNING = re.compile(r"[0-9a-fA-F-]+")
_ID_CHARS = 36


def whole_id(client: Client, text: str, *paths: str) -> str:
    """Return the one id that begins like this; the text itself where it is whole or no id does.

    Args:
        paths: The lists to look in, `IMPORTS` and `IMAGES`.

    Raises:
        CommandFailed: Several ids begin like this.
        Refused, Unreachable: As for every call.
    """
    if not LEAST_CHARS <= len(text) < _ID_CHARS or not _BEGINNING.fullmatch(text):
        return text
    beginning = text.lower()
    ids = chain.from_iterable(_ids(client, path) for path in paths)
    found = sorted({id_ for id_ in ids if id_.lower().startswith(beginning)})
    if len(found) > 1:
        raise _ambiguous(text, found)
    return found[0] if found else text


def _ids(client: Client, path: str) -> Iterator[str]:
    marker = None
    for _ in range(MAX_PAGES):
        document = client.get(path, limit=PAGE_ITEMS, marker=marker)
        items = document[path.rpartition("/")[2]]
        yield from (item["id"] for item in items)
        if not items or not document.get("next"):
            return
        marker = items[-1]["id"]


def _ambiguous(text: str, found: list[str]) -> CommandFailed:
    named = ", ".join(found[:MAX_NAMED]) + (", ..." if len(found) > MAX_NAMED else "")
    return CommandFailed(
        Exit.USAGE,
        code="id-ambiguous",
        detail=f"{len(found)} IDs begin with {text}: {named}",
        advice="Give more of the ID.",
        candidates=found,
    )


def unknown(kinds: str, text: str, commands: str) -> CommandFailed:
    """Say that nothing has this id.

    Args:
        kinds: What was looked for: "import or image".
        commands: Which commands list the ids there are.
    """
    return CommandFailed(
        Exit.UNKNOWN,
        code="id-unknown",
        detail=f"There is no {kinds} with the ID {text}, or not for this project.",
        advice=f"List the IDs with {commands}.",
    )


def is_unknown(error: Refused) -> bool:
    """Return whether the server says that there is no such thing."""
    return error.status == 404
