"""The command that looks at a source through a server, without importing anything."""

from typing import Any

from rich.text import Text

from fetcher.api.submit.words import exact_words
from fetcher.cli.choices import Server, Wanted
from fetcher.cli.exits import Exit
from fetcher.cli.screen import Screen, plain


def probe(
    url: str,
    *,
    wanted: Wanted = Wanted(),  # noqa: B008 - frozen
    server: Server = Server(),  # noqa: B008 - frozen
) -> Exit:
    """Look at a URL through a server without importing it: what it is, what would refuse it.

    The exit code is 0 for a source that would be accepted, as far as its first 64 KiB show, else 3.

    Args:
        url: Where the image is.
    """
    client, screen = server.client(), server.screen()
    found = client.call("POST", "/imports/probe", wanted.body(url))
    if screen.as_json:
        screen.json(found)
    else:
        _show(screen, url, found)
    return Exit.OK if found["accepted"] else Exit.REFUSED


def _show(screen: Screen, url: str, found: dict[str, Any]) -> None:
    words = ("would be accepted", "bold green") if found["accepted"] else ("would be refused", "bold red")
    screen.out.print(
        Text.assemble((plain(found["redirects"][0]["url"] if found["redirects"] else url), "bold"))
    )
    screen.out.print(Text.assemble(words))
    form = found["format"] or {}
    beside = found["checksum_file"]
    resumable = {True: "yes", False: "no", None: None}[found["resumable"]]
    screen.facts(
        [
            *(("redirects to", hop["url"]) for hop in found["redirects"][1:]),
            ("name", found["name"]),
            ("size", exact_words(found["size"])),
            ("is", form.get("name")),
            ("disk", exact_words(form.get("virtual_bytes"))),
            ("resumable", resumable),
            ("digest", found["digest"]),
            *((refusal["guard"] or "source", refusal["title"]) for refusal in found["refusals"]),
            *(("what to do", refusal["advice"]) for refusal in found["refusals"]),
            ("checksum file", None if beside is None else f"--checksum-url {beside['url']}"),
            ("it says", None if beside is None else beside["digest"]),
        ]
    )
