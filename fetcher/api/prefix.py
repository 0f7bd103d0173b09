"""The path below which a reverse proxy offers the service: `https://example.org/images/` is `/` here."""

from contextvars import ContextVar
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from fetcher.config import Current

_PREFIX: ContextVar[str] = ContextVar("prefix", default="")


def outside(path: str) -> str:
    """Return the path by which a browser reaches one of ours; all links of the page go through here."""
    return _PREFIX.get() + path


class Prefix:
    """Takes the path of `server.public_url` off each request, where the proxy has not.

    A proxy may hand requests on as they are, or without that path (nginx's
    `proxy_pass` with a trailing slash); both work, since no route of ours
    begins with it (`Server.mistakes`).

    Args:
        current: What is in force now.
    """

    def __init__(self, app: ASGIApp, current: Current) -> None:
        self._app = app
        self._current = current

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wrap one request."""
        prefix = urlsplit(self._current.settings.server.public_url).path
        _PREFIX.set(prefix)
        if prefix and scope["type"] == "http":
            path: str = scope["path"]
            if path == prefix or path.startswith(f"{prefix}/"):
                raw = scope["raw_path"].removeprefix(prefix.encode()) or b"/"
                scope = {**scope, "path": path.removeprefix(prefix) or "/", "raw_path": raw}
        await self._app(scope, receive, send)
