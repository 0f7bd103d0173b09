"""The choice of who identifies callers, by the mode that is configured."""

from fetcher.api.auth.identity import Identifier, Local, Tokens
from fetcher.config import Current


def identifier(current: Current) -> Identifier:
    """Return the way to find out who calls, for the mode that is configured."""
    mode = current.settings.auth.mode
    if mode == "keystone":
        from fetcher.api.auth.keystone import Keystone  # Its library is an optional part.

        return Keystone(current.settings.keystone)
    return Tokens(current) if mode == "tokens" else Local(current)
