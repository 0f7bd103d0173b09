"""A single PUT to a URL that is signed already, as S3, Google and Azure hand them out.

There is no going on: a PUT that broke off is sent from its first byte again.

Source: RFC 9110 section 9.3.4; Amazon S3 API, "PutObject"; Azure Blob Storage, "Put Blob"; RFC 9530.
"""

from fetcher.config import Settings
from fetcher.errors import InvalidUrl
from fetcher.exporter.answers import receipt
from fetcher.exporter.calls import without_type
from fetcher.exporter.digests import digest_field
from fetcher.exporter.senders.base import AcceptedReceiver, ReadBackRequest, SendJob
from fetcher.guards.request.receivers import check_receiver
from fetcher.index.values import ExportOptions, ReceiverSecrets
from fetcher.transport import Outgoing, SourceRequest, no_hops

NO_GET = "a URL that is signed for PUT gives nothing back; give a URL to read as read_url"


class SignedPut:
    """Sends to http and https URLs."""

    name = "put"
    form = "https://HOST/PATH?SIGNATURE"
    fields = frozenset({"read_url"})

    def is_for(self, secrets: ReceiverSecrets) -> bool:
        """Take what no other sender does."""
        return "://" in secrets.url

    def take(self, secrets: ReceiverSecrets, _options: ExportOptions, settings: Settings) -> AcceptedReceiver:
        """Judge the URL, and the one to read back from."""
        target = check_receiver(secrets.url, settings)
        if target.scheme not in {"http", "https"}:
            raise InvalidUrl(reason=f"nothing is sent to {target.scheme} URLs", rule="scheme")
        if secrets.access.read_url is not None:
            check_receiver(secrets.access.read_url, settings)
        return AcceptedReceiver(secrets=secrets, shown=target.redacted)

    async def send(self, job: SendJob) -> dict[str, str]:
        """Send the image as one body; its digest goes along for receivers that compare."""
        check_receiver(job.secrets.url, job.settings)  # The operator may have changed their mind meanwhile.
        own, media_type = without_type(job.secrets.headers)
        outgoing = Outgoing(
            chunks=job.reading.whole,
            size=job.reading.size,
            media_type=media_type,
            stall_seconds=job.settings.exports.stall_seconds,
        )
        request = SourceRequest(
            url=job.secrets.url,
            headers={"Repr-Digest": digest_field(job.reading.sha256)} | own,
            outgoing=outgoing,
            project=job.export.project_id,
        )
        return receipt(await job.gate.send(request, job.settings, no_hops))

    async def to_read(self, job: SendJob) -> ReadBackRequest | str:
        """Read from the URL that was given for it."""
        return read_url(job)

    async def abort(self, job: SendJob) -> None:
        """Do nothing: a body that broke off is nothing."""


def read_url(job: SendJob) -> ReadBackRequest | str:
    """Return what is asked at the URL that was given for reading back."""
    url = job.secrets.access.read_url
    if url is None:
        return NO_GET
    check_receiver(url, job.settings)
    request = SourceRequest(url=url, project=job.export.project_id)
    return ReadBackRequest(request=request, size=job.reading.size, sha256=job.reading.sha256)
