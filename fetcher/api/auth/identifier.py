"""The choice of who identifies callers, by the mode that is configured."""

from collections.abc import Callable

from fetcher.api.auth.identity import Identifier, Local, Tokens
from fetcher.config import Settings


def identifier(settings: Callable[[], Settings]) -> Identifier:
    """Return the way to find out who calls, for the mode that is configured."""
    mode = settings().auth.mode
    if mode == "keystone":
        from fetcher.api.auth.keystone import Keystone  # Its library is an optional part.

        return Keystone(settings().keystone)
    return Tokens(settings) if mode == "tokens" else Local(settings)
