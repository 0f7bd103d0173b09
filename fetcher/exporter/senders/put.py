"""A single PUT to a URL that is signed already, as S3, Google and Azure hand them out.

There is no going on: a PUT that broke off is sent from its first byte again.

Source: RFC 9110 section 9.3.4; Amazon S3 API, "PutObject"; Azure Blob Storage, "Put Blob"; RFC 9530.
"""

from base64 import b64encode

from fetcher.exporter.senders.base import SendJob
from fetcher.transport import Outgoing, SourceRequest, no_hops

CONTENT_TYPE = "content-type"  # URLs may be signed for one; to sources it is never sent.


class SignedPut:
    """Sends to http and https URLs."""

    name = "put"
    schemes = frozenset({"http", "https"})

    async def send(self, job: SendJob) -> dict[str, str]:
        """Send the image as one body; its digest goes along for receivers that compare."""
        digest = b64encode(bytes.fromhex(job.sha256)).decode()
        headers = {"Repr-Digest": f"sha-256=:{digest}:"}
        headers |= {name: value for name, value in job.headers.items() if name.lower() != CONTENT_TYPE}
        media_types = [value for name, value in job.headers.items() if name.lower() == CONTENT_TYPE]
        outgoing = Outgoing(
            chunks=job.read,
            size=job.size,
            media_type=media_types[0] if media_types else "application/octet-stream",
            stall_seconds=job.settings.exports.stall_seconds,
        )
        request = SourceRequest(url=job.url, headers=headers, outgoing=outgoing, project=job.project)
        return await job.gate.send(request, job.settings, no_hops)
