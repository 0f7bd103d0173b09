"""Calls of a receiver, one request at a time, each through the gate and every check."""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from urllib.parse import urlsplit

import msgspec

from fetcher.errors import Failure, ReceiverRefused, SourceStatus
from fetcher.exporter.reading import Part, Reading
from fetcher.exporter.senders.base import SendJob
from fetcher.guards.network.response import retry_after
from fetcher.guards.request.receivers import check_receiver
from fetcher.transport import Answer, CallAnswer, Dialect, Outgoing, SourceRequest

MAX_QUESTIONS = 4  # For a login, for a region, for both once more.
MAX_ANSWER_BYTES = 1_048_576
CONTENT_TYPE = "content-type"  # URLs may be signed for one; to sources it is never sent.
OCTETS = "application/octet-stream"


class Calls:
    """Calls one receiver.

    Args:
        dialect: Speaks for us at the origin of the job's URL, and nowhere else.
    """

    def __init__(self, job: SendJob, dialect: Dialect | None = None) -> None:
        self._job = job
        self._dialect = dialect
        rules = job.settings.exports
        pace = msgspec.structs.replace(job.settings.pace, header_seconds=rules.stall_seconds)
        self._settings = msgspec.structs.replace(job.settings, pace=pace)
        self.home = check_receiver(job.secrets.url, job.settings).origin
        self._moved_to: dict[str, str] = {}

    def outgoing(self, reading: Reading, part: Part | None = None, media_type: str = OCTETS) -> Outgoing:
        """Send all of it, or a part; each request that asks for the bytes reads and digests them anew."""
        return Outgoing(
            chunks=reading.whole if part is None else lambda: reading.part(part),
            size=reading.size if part is None else part.size,
            media_type=media_type,
            stall_seconds=self._job.settings.exports.stall_seconds,
        )

    async def call(self, request: SourceRequest, *, also: Collection[int] = ()) -> CallAnswer:
        """Make one call; redirects are answers like any other.

        Args:
            also: Statuses that the caller knows what to do with, beside those of success.

        Raises:
            ReceiverForbidden: It would go to a host that nothing may be sent to.
            SourceStatus: Of any other status.
            Failure: As from the gate, or what the dialect makes of the answer.
        """
        request = msgspec.structs.replace(request, url=self._at_home(request.text))
        for _ in range(MAX_QUESTIONS):
            dialect = (
                self._dialect if check_receiver(request.text, self._settings).origin == self.home else None
            )
            asked = msgspec.structs.replace(request, project=self._job.export.project_id, dialect=dialect)
            answer = await self._job.gate.exchange(asked, self._settings, max_answer_bytes=MAX_ANSWER_BYTES)
            if 200 <= answer.status < 300 or answer.status in also:
                if dialect is not None:
                    dialect.accept()
                return answer
            url = None if dialect is None else await dialect.consult(_shown(answer, request.text))
            if url is None:
                raise status_of(answer)
            request = self._moved(request, url)
        raise ReceiverRefused(reason="it asks for a login or for another place again and again")

    def _moved(self, request: SourceRequest, url: str) -> SourceRequest:
        """Ask where the dialect says; that is home from here on, if something may be sent there at all."""
        self.home = check_receiver(url, self._settings).origin
        before, after = urlsplit(request.text).netloc, urlsplit(url).netloc
        if before != after:
            self._moved_to[before] = after
        return msgspec.structs.replace(request, url=url)

    def _at_home(self, url: str) -> str:
        """Ask where the service was found to be, if it has moved since the URL was made."""
        parts = urlsplit(url)
        return parts._replace(netloc=self._moved_to.get(parts.netloc, parts.netloc)).geturl()


def status_of(answer: CallAnswer) -> Failure:
    """Return what a status means that nobody expected."""
    wait = retry_after([answer.retry_after] if answer.retry_after else [], datetime.now(UTC))
    return SourceStatus(status=answer.status, retry_after_seconds=wait)


def _shown(answer: CallAnswer, url: str) -> Answer:
    return Answer(status=answer.status, headers=answer.headers, body=answer.body, url=url)


def with_query(url: str, query: str) -> str:
    """Add to the query of a URL."""
    return f"{url}{'&' if urlsplit(url).query else '?'}{query}"


def without_type(headers: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """Take the type of the bytes out of a submitter's headers: alone of the framing it is theirs to say."""
    own = {name: value for name, value in headers.items() if name.lower() != CONTENT_TYPE}
    return own, next((value for name, value in headers.items() if name.lower() == CONTENT_TYPE), OCTETS)
