"""The entry of an import in the queue."""

import re

from fetcher.config import Settings
from fetcher.guards.request.url import CheckedUrls
from fetcher.importer.admission import origin_of
from fetcher.importer.methods.registry import named
from fetcher.importer.records.requests import fingerprint
from fetcher.importer.schedule.queue import Ticket
from fetcher.index.values import Secrets, Unfinished
from fetcher.model import Import

_AUTHORITY = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")


class Origins:
    """The origins of many URLs that were judged before, by an earlier process: each authority is judged once.

    What else a URL has is judged when it is fetched.

    Args:
        settings: By which they are judged.
    """

    def __init__(self, settings: Settings) -> None:
        self._urls = CheckedUrls(settings)
        self._known: dict[str, str] = {}

    def of(self, url: str) -> str:
        """Return the origin that a URL counts for; one that is not accepted any more fails when it runs."""
        match = _AUTHORITY.match(url)
        authority = match[0] if match else ""
        if (found := self._known.get(authority)) is None:
            found = self._known[authority] = origin_of(authority, self._urls)
        return found


def ticket_again(left: Unfinished, origins: Origins, settings: Settings) -> Ticket:
    """Return the ticket of an import that an earlier process left behind; no URL of it is judged yet."""
    return Ticket(
        left.id,
        left.project_id,
        origins.of(left.secrets.url),
        fingerprint(left.secrets, left.submission, settings, left.project_id),
        not left.is_delivered and _may_share(left, settings),
        CheckedUrls(settings),
    )


def _may_share(one: Import | Unfinished, settings: Settings) -> bool:
    return settings.reuse.shares_within(one.project_id) is not None and named(one.method).is_shared


def ticket_of(record: Import, secrets: Secrets, urls: CheckedUrls, origin: str | None = None) -> Ticket:
    """Return an import's ticket.

    Args:
        urls: What its URLs were judged to be, under the settings that hold for it.
        origin: Whom its URL counts for, where that is known already.
    """
    settings = urls.settings
    return Ticket(
        record.id,
        record.project_id,
        origin_of(secrets.url, urls) if origin is None else origin,
        fingerprint(secrets, record.submission, settings, record.project_id),
        is_shared=record.delivery is None and _may_share(record, settings),
        urls=urls,
    )
