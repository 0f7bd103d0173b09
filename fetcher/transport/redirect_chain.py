"""The way through one chain of redirects."""

from collections.abc import Callable
from datetime import UTC, datetime

import aiohttp
import msgspec
from yarl import URL

from fetcher.config import Settings
from fetcher.errors import BadRedirect, InvalidUrl, SourceStatus, TooManyRedirects
from fetcher.guards.network.heads import Reply
from fetcher.guards.network.redirects import check_redirect, next_location
from fetcher.guards.network.response import check_head, retry_after
from fetcher.guards.request.redaction import redact_url
from fetcher.guards.request.url import CheckedUrl, check_url
from fetcher.model import ClientCertificate, Hop
from fetcher.transport.dialect import Dialect
from fetcher.transport.dialling.dial import SourceConnection
from fetcher.transport.plan import Plan
from fetcher.transport.request import SourceRequest
from fetcher.transport.source import Source, shown_headers


class RedirectChain:
    """The hops of one request, and its next steps.

    Args:
        record: Takes each hop when it has ended.
    """

    def __init__(self, request: SourceRequest, settings: Settings, record: Callable[[Hop], None]) -> None:
        self.request = request
        self.settings = settings
        self.target = request.target(settings)
        self.plan: Plan | None = None
        self.connection: SourceConnection | None = None
        self.response: aiohttp.ClientResponse | None = None
        self._record = record
        self._origin = self.target.origin
        self._chain: list[str] = []
        self._wants_cookie = False
        self._at = datetime.now(UTC)

    def fields(self) -> dict[str, str]:
        """Build the fields of a request; the submitter's own go to the origin they were given for."""
        fields = self.request.fields(with_secrets=self.is_home)
        dialect = self.dialect
        return fields if dialect is None else dialect.fields(self.request.method, self.target.text, fields)

    @property
    def is_home(self) -> bool:
        """Return whether this hop is at the origin that the submitter's secrets were given for."""
        return self.target.origin == self._origin

    @property
    def dialect(self) -> Dialect | None:
        """Return who speaks for us here."""
        return self.request.dialect if self.is_home else None

    @property
    def client(self) -> ClientCertificate | None:
        """Return who we are to this hop, where it asks."""
        return self.request.client if self.is_home else None

    def begin(self) -> None:
        """Enter a hop."""
        self._chain.append(self.target.text)
        self.plan, self.connection, self.response = None, None, None
        self._at = datetime.now(UTC)

    def end(self) -> None:
        """Record a hop with what is known of it."""
        plan, connection, response = self.plan, self.connection, self.response
        # Nobody reached: who would have been.
        meant = str(plan.addresses[0]) if plan and plan.addresses else None
        self._record(
            Hop(
                url=self.target.redacted,
                status=None if response is None else response.status,
                address=meant if connection is None else connection.address,
                port=plan.port if plan else None,
                tls=None if connection is None else connection.tls,
                headers={} if response is None else shown_headers(response),
                at=self._at,
            )
        )

    def turn(self, response: aiohttp.ClientResponse) -> CheckedUrl:
        """Find where a redirect leads, judged like a submitted URL.

        Raises:
            BadRedirect: Nowhere that we follow to.
            TooManyRedirects: Too far, or in a circle.
        """
        hop = len(self._chain)
        locations = response.headers.getall("Location", [])
        self._wants_cookie = self._wants_cookie or "Set-Cookie" in response.headers
        raw = next_location(locations, self.target.text, hop, self.settings)
        try:
            target = check_url(raw, self.settings)
            expects_digest = self.request.expects_digest
            check_redirect(target.text, self._chain, self.settings, expects_digest=expects_digest)
        except InvalidUrl as error:
            refused = BadRedirect(hop=hop, reason=error.reason)
            refused.add_note(f"Location: {redact_url(raw)}")  # For the log: submitters do not see it.
            raise refused from error
        except TooManyRedirects as failure:
            failure.circle, failure.cookie = True, self._wants_cookie or None
            raise
        return target

    def lead(self, raw: str) -> None:
        """Ask elsewhere, where the dialect says that the service is to be asked; that is home from here on.

        Raises:
            InvalidUrl: It may not be fetched.
            TooManyRedirects: It has been asked too often.
        """
        most = self.settings.redirects.max_redirects
        if len(self._chain) > most:
            raise TooManyRedirects(max_redirects=most)
        self.target = check_url(raw, self.settings)
        self._origin = self.target.origin

    def further(self) -> SourceRequest:
        """Make the request that asks what has answered once more: this very URL at this very address.

        Another request of the submitted URL might be judged anew, or be sent to another mirror.
        """
        plan, connection = self.plan, self.connection
        is_ours = plan is not None and not plan.is_proxy  # Else the proxy finds the address.
        return msgspec.structs.replace(
            self.request.whole(),
            url=self.target,
            headers=self.request.headers if self.is_home else {},
            dialect=self.dialect,
            client=self.client,
            if_none_match=None,
            if_modified_since=None,
            address=connection.address if is_ours and connection is not None else None,
            follows=False,
        )

    def accept(self, response: aiohttp.ClientResponse) -> int:
        """Read the status of an answer to what was sent.

        Raises:
            SourceStatus: Any but those of success; a redirect is none.
        """
        if 200 <= response.status < 300:
            return response.status
        wait = retry_after(response.headers.getall("Retry-After", []), datetime.now(UTC))
        raise SourceStatus(
            status=response.status, retry_after_seconds=wait, headers=self.credentials(response.status)
        )

    def credentials(self, status: int) -> str | None:
        """Return what became of the submitter's headers where a login is asked for: none, sent, dropped."""
        if status not in {401, 403, 407}:
            return None
        if not self.request.headers:
            return "none"
        return "sent" if self.is_home else "dropped"

    def judge(self, response: aiohttp.ClientResponse) -> Source:
        """Judge the final head.

        Raises:
            SourceStatus: No bytes come with this status.
            BadResponse: The head contradicts itself or the request.
            EncodingForbidden: The bytes are coded.
        """
        *names, path = (URL(text, encoded=True).raw_path for text in self._chain)
        wanted = self.request.wanted(path, names)
        version = response.version or (0, 0)
        reply = Reply(
            status=response.status,
            version=(version[0], version[1]),
            reason=response.reason or "",
            fields=tuple(response.headers.items()),
        )
        try:
            head = check_head(reply, wanted, self.settings, datetime.now(UTC))
        except SourceStatus as failure:
            failure.headers = self.credentials(failure.status)
            failure.cookie = (failure.status in {401, 403} and self._wants_cookie) or None
            raise
        return Source(response, head, self.settings, self.further())
