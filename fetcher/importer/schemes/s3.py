"""`s3://bucket/key`: an object of a bucket, asked for by HTTP and signed where there are keys.

Requests go through the gate like any other; of botocore only the signer is used. Each request is signed
anew, each range and each attempt, at the endpoint of the bucket alone.
"""

import re
from datetime import UTC, datetime
from importlib.util import find_spec
from urllib.parse import quote, unquote, urlsplit

import msgspec

from fetcher.config import Settings
from fetcher.errors import BucketRefused, InvalidRequest, InvalidUrl, PartMissing
from fetcher.guards.network.redirects import REDIRECTS
from fetcher.guards.network.response import retry_after
from fetcher.guards.request.host_names import as_address
from fetcher.guards.request.s3 import check_endpoint
from fetcher.guards.request.url import CheckedUrls
from fetcher.importer.schemes.pasted import stripped, tidied
from fetcher.importer.schemes.scheme import Asked, SourceScheme, Way
from fetcher.model import BucketAccess, Submission
from fetcher.parsers.bucket_errors import parse_bucket_error
from fetcher.transport import Answer, sign

REGION = "{region}"
# Codes with advice; any other code is reported by its status, for a stranger may have made it up.
KNOWN = frozenset(
    {"AccessDenied", "AllAccessDisabled", "AuthorizationHeaderMalformed", "ExpiredToken", "InternalError"}
    | {"InvalidAccessKeyId", "InvalidObjectState", "InvalidRequest", "InvalidToken", "NoSuchBucket"}
    | {"NoSuchKey", "NoSuchVersion", "PermanentRedirect", "RequestTimeout", "RequestTimeTooSkewed"}
    | {"ServiceUnavailable", "SignatureDoesNotMatch", "SlowDown", "TemporaryRedirect"}
)
MAX_KEY_BYTES = 1024

_URL = re.compile(r"s3://(?:(?P<keys>[^@/]*)@)?(?P<bucket>[^/]*)(?:/(?P<key>.*))?", re.IGNORECASE | re.DOTALL)
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*")
_LABEL = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
_VERSION = re.compile(r"\?versionId=([A-Za-z0-9._-]{1,1024})\Z")
_KEY_ID = re.compile(r"[!-+.0-~-]{1,256}")  # A comma or a slash would end it in the signature.
_PRINTABLE = re.compile(r"[!-~]{1,8192}")


def take(submission: Submission, urls: CheckedUrls) -> Submission:
    """Ask the bucket's endpoint by https or http; keys in the URL become secrets.

    Raises:
        InvalidUrl: It names no bucket or no object.
        InvalidRequest: The endpoint, the region or the keys cannot be taken.
        PartMissing: There are keys, and nothing to sign with.
    """
    settings = urls.settings
    access = _access(submission, settings)

    def ask(url: str | None) -> str | None:
        is_here = url is not None and url.strip().lower().startswith("s3://")
        return locate(url or "", access, settings) if is_here else url

    located = msgspec.structs.replace(
        submission,
        url=locate(submission.url, access, settings),
        s3=access,
        mirrors=tuple(ask(mirror) or "" for mirror in submission.mirrors),
        checksum_url=ask(submission.checksum_url),
        checksum_signature_url=ask(submission.checksum_signature_url),
    )
    return tidied(located, urls)


def _access(submission: Submission, settings: Settings) -> BucketAccess:
    """Settle where the bucket is and who asks.

    Raises:
        InvalidRequest: Something of it is malformed, or there are two sets of keys.
        PartMissing: There are keys, and nothing to sign with.
    """
    access = submission.s3 or BucketAccess()
    match = _URL.fullmatch(stripped(submission.url))
    keys = match["keys"] if match else None
    if keys is not None:
        if access.access_key_id is not None:
            raise InvalidRequest(field="s3.access_key_id", reason="keys are in the URL and in s3")
        key_id, _, secret = keys.partition(":")
        access = msgspec.structs.replace(
            access, access_key_id=unquote(key_id), secret_access_key=unquote(secret)
        )
    endpoint = check_endpoint(access.endpoint, access.region, settings)
    _check_keys(access)
    if access.access_key_id is not None and any(
        name.lower() == "authorization" for name in submission.headers
    ):
        raise InvalidRequest(field="headers", reason="keys are in s3, and Authorization is in headers")
    addressing = access.addressing
    if addressing == "auto":
        addressing = settings.s3.addressing if access.endpoint is None else "path"
    return msgspec.structs.replace(
        access, endpoint=endpoint, region=access.region or settings.s3.region, addressing=addressing
    )


def _check_keys(access: BucketAccess) -> None:
    if access.access_key_id is None:
        if access.secret_access_key is not None or access.session_token is not None:
            raise InvalidRequest(field="s3.access_key_id", reason="access_key_id is missing")
        return
    if not access.secret_access_key:
        raise InvalidRequest(field="s3.secret_access_key", reason="secret_access_key is missing")
    if not _KEY_ID.fullmatch(access.access_key_id):
        raise InvalidRequest(field="s3.access_key_id", reason="access_key_id is no such key")
    for name in ("secret_access_key", "session_token"):
        if (value := getattr(access, name)) is not None and not _PRINTABLE.fullmatch(value):
            raise InvalidRequest(field=f"s3.{name}", reason=f"{name} is not printable ASCII without blanks")
    if find_spec("botocore") is None:
        raise PartMissing(what="Signing requests to a bucket", package="aiobotocore", extra="s3")


def locate(url: str, access: BucketAccess, settings: Settings) -> str:
    """Find where an object is.

    The key is taken as the console and the tools show it: nothing in it is an escape, and what follows a
    `?` belongs to it, unless it is a `versionId` at the end.

    Raises:
        InvalidUrl: It names no bucket or no object.
        InvalidRequest: The bucket cannot be a part of a host name.
    """
    match = _URL.fullmatch(stripped(url))
    bucket, key = (match["bucket"], match["key"] or "") if match else ("", "")
    version = _VERSION.search(key)
    key = key[: version.start()] if version else key
    _check_names(bucket, key)
    base = (access.endpoint or "").replace(REGION, access.region or "").rstrip("/")
    scheme, _, host = base.partition("://")
    is_virtual = access.addressing == "virtual"
    if is_virtual and not _may_stand_before(bucket, host):
        if access.endpoint != settings.s3.endpoint:
            reason = "this bucket cannot stand before the host of the endpoint; use the addressing path"
            raise InvalidRequest(field="s3.addressing", reason=reason)
        is_virtual = False
    path = quote(key, safe="/-_.~")
    query = f"?versionId={version[1]}" if version else ""
    return f"{scheme}://{bucket}.{host}/{path}{query}" if is_virtual else f"{base}/{bucket}/{path}{query}"


def _check_names(bucket: str, key: str) -> None:
    if not 3 <= len(bucket) <= 255 or not _BUCKET.fullmatch(bucket):
        raise InvalidUrl(rule="bucket", reason="it names no bucket; write s3://BUCKET/KEY")
    if not key or key.endswith("/"):
        raise InvalidUrl(rule="bucket", reason="it names no object; write s3://BUCKET/KEY")
    if len(key.encode("utf-8", "replace")) > MAX_KEY_BYTES or not key.isprintable():
        raise InvalidUrl(rule="bucket", reason="its key is longer than 1,024 bytes or not printable")
    if {".", "..", ""} & set(key.split("/")):
        raise InvalidUrl(rule="bucket", reason="its key has a part that is empty, . or ..")


def _may_stand_before(bucket: str, host: str) -> bool:
    """Tell whether a bucket may be a label of a host name: one that a wildcard certificate covers."""
    name = host.partition(":")[0]
    return _LABEL.fullmatch(bucket) is not None and as_address(name) is None and not host.startswith("[")


class BucketDialect:
    """Signs requests to one bucket, and reads what its server says.

    Args:
        access: With endpoint and region.
    """

    def __init__(self, access: BucketAccess) -> None:
        self._access = access
        self._regions: dict[str, str] = {}

    def fields(self, method: str, url: str, fields: dict[str, str]) -> dict[str, str]:
        """Sign a request for the region that it goes to."""
        return sign(method, url, fields, self._access, self._region_at(url))

    def accept(self) -> None:
        """Expect nothing more: each request is signed for itself."""

    async def consult(self, answer: Answer) -> str | None:
        """Follow the bucket to its region; report errors of its server by their names.

        Raises:
            BucketRefused: The server does not give the object out.
        """
        error = parse_bucket_error(answer.body)
        region = answer.headers.get("x-amz-bucket-region") or (error.region if error else None)
        if answer.status in {301, 307, 400} and region and region != self._region_at(answer.url):
            return self._move(answer.url, check_region(region))
        if answer.status in REDIRECTS and "location" in answer.headers:
            return None
        if error is None or answer.status == 416:
            return None
        raise BucketRefused(
            error=error.code if error.code in KNOWN else f"status {answer.status}",
            status=answer.status,
            anonymous=self._access.access_key_id is None,
            region=region,
            retry_after_seconds=_seconds(answer.headers.get("retry-after")),
        )

    def _region_at(self, url: str) -> str:
        return self._regions.get(urlsplit(url).netloc, self._access.region or "")

    def _move(self, url: str, region: str) -> str:
        """Name the place to ask in another region: the endpoint's own host there, or the same one."""
        endpoint = self._access.endpoint or ""
        if REGION in endpoint:
            here, there = (
                urlsplit(endpoint.replace(REGION, name)).netloc for name in (self._region_at(url), region)
            )
            parts = urlsplit(url)
            if parts.netloc == here or parts.netloc.endswith(f".{here}"):
                url = parts._replace(netloc=parts.netloc.removesuffix(here) + there).geturl()
        self._regions[urlsplit(url).netloc] = region
        return url


def check_region(region: str) -> str:
    """Refuse a region that no server has: it becomes a part of a host name.

    Raises:
        BucketRefused: It is none.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]{0,62}", region):
        raise BucketRefused(error="PermanentRedirect", status=301)
    return region


def _seconds(value: str | None) -> float | None:
    return None if value is None else retry_after([value], datetime.now(UTC))


async def find(asked: Asked) -> Way:
    """Ask for the object in the bucket's own way."""
    access = asked.secrets.access.s3 or BucketAccess()
    return Way(secrets=asked.secrets, dialect=BucketDialect(access))


SCHEME = SourceScheme(
    names=("s3",),
    own_fields=("s3",),
    form="s3://BUCKET/KEY",
    is_enabled=lambda settings: settings.s3.enabled,
    take=take,
    find=find,
)
