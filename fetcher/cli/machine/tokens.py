"""The command that makes a token for `auth.mode = "tokens"`."""

from typing import Literal

import tomlkit

from fetcher.api.auth.identity import make_token
from fetcher.cli.choices import AsJson
from fetcher.cli.exits import Exit
from fetcher.cli.screen import Screen


def token(
    project: str,
    user: str,
    *,
    role: Literal["reader", "member", "admin"] = "member",
    json: AsJson = False,
) -> Exit:
    """Make a token, and the entry of `auth.tokens` that lets its holder in.

    Only the digest goes into the configuration: the token itself is printed once and kept nowhere.

    Args:
        project: Whose images and imports its holder sees.
        user: Who is recorded.
        role: What its holder may do.
        json: Print one JSON document instead of words.
    """
    screen = Screen(as_json=json)
    made, digest = make_token()
    entry = {"sha256": digest, "project": project, "user": user, "roles": [role]}
    if screen.as_json:
        screen.json({"token": made, "entry": entry})
        return Exit.OK
    screen.line(made)
    fields = ", ".join(f"{name} = {_toml(value)}" for name, value in entry.items())
    screen.say("Give it to its holder. To auth.tokens of the configuration goes:", "dim")
    screen.verbatim(f"  {{ {fields} }}")
    return Exit.OK


def _toml(value: object) -> str:
    return tomlkit.item(value).as_string()
