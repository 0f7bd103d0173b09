"""Equality of requests, and the split of a submission into its secrets and what may be shown."""

import hashlib
from urllib.parse import unquote, urlsplit

import msgspec

from fetcher.config import Settings
from fetcher.guards.request.redaction import redact_url
from fetcher.guards.request.url import CheckedUrls
from fetcher.index.values import Access, Secrets, WebhookTarget
from fetcher.model import BucketAccess, Submission
from fetcher.transport import Dialect, SourceRequest, SumsRequest

HIDDEN = "REDACTED"
AS_RECEIVED = "as-received"


def secrets_of(
    submission: Submission,
    headers: dict[str, str] | None = None,
    variant: str = "",
    *,
    target_token: str | None = None,
) -> Secrets:
    """Return what of a submission only the pull may know; `headers` are further ones."""
    return Secrets(
        url=submission.url,
        headers=submission.headers | (headers or {}),
        mirrors=submission.mirrors,
        checksum_url=submission.checksum_url,
        checksum_signature_url=submission.checksum_signature_url,
        access=Access(s3=submission.s3, client=submission.client_certificate, variant=variant),
        target_token=target_token,
    )


def shown(submission: Submission) -> Submission:
    """Return a submission without its secrets: what is kept and shown."""
    return msgspec.structs.replace(
        submission,
        url=redact_url(submission.url),
        headers=dict.fromkeys(submission.headers, HIDDEN),
        mirrors=tuple(redact_url(url) for url in submission.mirrors),
        checksum_url=_shown(submission.checksum_url),
        checksum_signature_url=_shown(submission.checksum_signature_url),
        notify_url=_shown(submission.notify_url),
        notify_secret=None,
        s3=_without_keys(submission.s3),
        client_certificate=None,
    )


def _without_keys(bucket: BucketAccess | None) -> BucketAccess | None:
    """Return where a bucket is, and that there were keys."""
    if bucket is None:
        return None
    names = ("access_key_id", "secret_access_key", "session_token")
    hidden = {name: HIDDEN for name in names if getattr(bucket, name) is not None}
    return msgspec.structs.replace(bucket, **hidden)


def _shown(url: str | None) -> str | None:
    return None if url is None else redact_url(url)


def webhook_of(submission: Submission, settings: Settings) -> WebhookTarget | None:
    """Return who is notified of the import's end: its own receiver, else the operator's, else None."""
    if submission.notify_url is not None:
        return WebhookTarget(url=submission.notify_url, secret=submission.notify_secret)
    return WebhookTarget() if settings.notify.url else None


def fingerprint(secrets: Secrets, submission: Submission, settings: Settings, project: str) -> str:
    """Equal for imports that would send the same requests and judge the bytes alike.

    Their digests may differ: each compares its own at the end. Another
    project's are different, unless the operator has everybody share: who
    joins a pull learns that it has been running.
    """
    checksum = submission.checksum
    extra = (
        checksum.algorithm if checksum and checksum.algorithm not in settings.checksum.algorithms else None
    )
    parts = (
        secrets.url,
        sorted(secrets.headers.items()),
        secrets.mirrors,
        secrets.checksum_url,
        secrets.checksum_signature_url,
        secrets.access,
        submission.disk_format,
        submission.container_format,
        submission.max_bytes,
        submission.remote,
        submission.ca_pem,
        submission.disk,
        target_of(submission, settings),
        extra,
        settings.reuse.shares_within(project) or "",
    )
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()


def target_of(submission: Submission, settings: Settings) -> str:
    """Return the format that an import is converted to, or `as-received`."""
    if submission.container_format not in (None, "bare"):
        return AS_RECEIVED
    if submission.convert_to is not None:
        return submission.convert_to
    return AS_RECEIVED if submission.remote is not None else settings.convert.target


def plain_request(secrets: Secrets, submission: Submission, settings: Settings) -> str | None:
    """Return what a URL without secrets or authorities of its own is remembered under; else None.

    Bytes that were kept packed because a submission said so are none for another that did not.

    A permission in the query or in a header could be withdrawn, and its traces
    have no place in the index once the import has ended.
    """
    if secrets.headers or secrets.mirrors or urlsplit(secrets.url).query or submission.ca_pem:
        return None
    if secrets.access != Access():
        return None
    container = submission.container_format or "bare"
    way = "unpacked" if container == "bare" and settings.unpack.enabled else container
    return hashlib.sha256(f"{secrets.url}\n{way}\n{target_of(submission, settings)}".encode()).hexdigest()


def sums_request(
    secrets: Secrets,
    urls: CheckedUrls,
    project: str,
    ca_pem: str | None = None,
    dialect: Dialect | None = None,
) -> SumsRequest:
    """Ask for the checksum file and its signature; what is secret goes along to the image's origin alone.

    Args:
        secrets: Of a submission that names such a file.

    Raises:
        InvalidUrl: It can never be fetched.
    """
    assert secrets.checksum_url is not None
    home = urls.check(secrets.url).origin

    def ask(raw: str) -> SourceRequest:
        url = urls.check(raw)
        is_home = url.origin == home
        return SourceRequest(
            url=url,
            headers=secrets.headers if is_home else {},
            project=project,
            ca_pem=ca_pem,
            dialect=dialect if is_home else None,
            client=secrets.access.client if is_home else None,
        )

    path = unquote(urlsplit(secrets.url).path)
    signature = secrets.checksum_signature_url
    return SumsRequest(
        file=ask(secrets.checksum_url),
        name=path.rpartition("/")[2],
        path=path,
        signature=ask(signature) if signature else None,
        sources=(secrets.url, *secrets.mirrors),
    )
