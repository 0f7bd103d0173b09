"""One line of a checksum file."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One digest and the name it is listed under.

    Args:
        algorithm: Its canonical name; empty where the line itself does not say.
        value: Lower-case hex.
        name: As listed; None where the line holds a digest alone.
    """

    algorithm: str = ""
    value: str
    name: str | None = None
