"""The entry of an import in the queue."""

from fetcher.guards.request.url import CheckedUrls
from fetcher.importer.admission import origin_of
from fetcher.importer.methods.registry import named
from fetcher.importer.records.requests import fingerprint
from fetcher.importer.schedule.queue import Ticket
from fetcher.index.values import Secrets
from fetcher.model import Import


def ticket_of(record: Import, secrets: Secrets, urls: CheckedUrls, request: str | None = None) -> Ticket:
    """Return an import's ticket.

    Args:
        urls: What its URLs were judged to be, under the settings that hold for it.
        request: Its fingerprint, where it is known already.
    """
    settings = urls.settings
    return Ticket(
        record.id,
        record.project_id,
        origin_of(secrets.url, urls),
        request or fingerprint(secrets, record.submission, settings, record.project_id),
        is_shared=record.delivery is None
        and settings.reuse.shares_within(record.project_id) is not None
        and named(record.method).is_shared,
        urls=urls,
    )
