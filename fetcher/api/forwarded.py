"""The client behind a reverse proxy: taken from proxies that the operator named, from nobody else."""

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from fetcher.config import Current

# The peer of a Unix socket has no address; who may open its path is a proxy by the operator's own doing.
UNIX = "unix"


class Forwarded:
    """Takes X-Forwarded-For and X-Forwarded-Proto of `inbound.proxies` and of a Unix socket's clients.

    Args:
        current: What is in force now.
    """

    def __init__(self, app: ASGIApp, current: Current) -> None:
        self._app = app
        self._current = current
        self._proxies: list[str] | None = None
        self._trusting: ASGIApp = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wrap one request."""
        if scope["type"] == "http":
            if scope.get("client") is None:
                scope = {**scope, "client": (UNIX, 0)}
            proxies = self._current.settings.inbound.proxies
            if proxies != self._proxies:
                self._proxies = list(proxies)
                trusting = ProxyHeadersMiddleware(self._app, trusted_hosts=[*proxies, UNIX])  # type: ignore[arg-type] # uvicorn's protocols are of its own types, Starlette's of theirs
                self._trusting = trusting  # type: ignore[assignment] # likewise
        await self._trusting(scope, receive, send)
