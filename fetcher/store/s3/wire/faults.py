"""Answers of an S3 server, translated to this service's own errors."""

import errno
from typing import NoReturn

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
    ProxyConnectionError,
    SSLError,
)
from botocore.exceptions import (
    ConnectionError as NotConnected,
)
from botocore.parsers import ResponseParserError

from fetcher.errors import Shortage, StoreFailed, StoreFull

# Codes that say "not now"; the status decides where the code is another one.
BUSY = frozenset({"SlowDown", "Throttling", "RequestTimeout", "InternalError", "ServiceUnavailable", "503"})
BUSY_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
FULL = frozenset({"InsufficientCapacity", "QuotaExceeded", "XMinioStorageFull", "EntityTooLarge", "507"})
GONE = frozenset({"NoSuchKey", "404", "NotFound"})
# Also an answer that breaks off before it can be read.
PASSING = (NotConnected, HTTPClientError, IncompleteReadError, ResponseParserError, OSError, EOFError)
ADVICE = {
    "AccessDenied": "the credentials may not do this",
    "403": "the credentials are wrong, or may not do this",
    "InvalidAccessKeyId": "the server does not know the access key",
    "SignatureDoesNotMatch": "the secret key is wrong",
    "ExpiredToken": "the credentials have expired",
    "RequestTimeTooSkewed": "this machine's clock is wrong, or the server's",
    "NoSuchBucket": "there is no such bucket",
    "PermanentRedirect": "the bucket is in another region, see bucket.region",
    "AuthorizationHeaderMalformed": "the bucket is in another region, see bucket.region",
}


def code_of(error: BaseException) -> str:
    """Return the server's code of an answer; empty where it did not answer."""
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""


def status_of(error: ClientError) -> int:
    """Return the status of an answer."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def is_gone(error: BaseException) -> bool:
    """Return whether there is no such object."""
    return code_of(error) in GONE


def is_precondition(error: BaseException) -> bool:
    """Return whether a condition of the request did not hold."""
    return code_of(error) in {"PreconditionFailed", "412", "ConditionalRequestConflict"}


def is_no_upload(error: BaseException) -> bool:
    """Return whether an upload has ended, either way."""
    return code_of(error) == "NoSuchUpload"


def is_passing(error: BaseException) -> bool:
    """Return whether a request may succeed when it is sent again: it says nothing about what was asked."""
    if isinstance(error, ClientError):
        return code_of(error) in BUSY or status_of(error) in BUSY_STATUSES
    if isinstance(error, SSLError | ProxyConnectionError):
        return False
    # Bodies that break off are raised by the HTTP client below botocore, in its own classes.
    is_transport = type(error).__module__.partition(".")[0] == "aiohttp"
    return is_transport or isinstance(error, PASSING)


def translate(error: Exception, doing: str) -> StoreFailed | StoreFull:
    """Name what the server refused; the words hold no key and no address."""
    if is_passing(error):
        said = code_of(error) or type(error).__name__
        return Shortage(reason=f"{doing}: the object store does not answer as it should ({said})")
    if isinstance(error, NoCredentialsError | PartialCredentialsError | CredentialRetrievalError):
        return StoreFailed(reason=f"{doing}: there are no credentials for the object store")
    if isinstance(error, ClientError):
        code = code_of(error)
        if code in FULL or status_of(error) == 507:
            return StoreFull()
        said = ADVICE.get(code, "the object store refuses")
        return StoreFailed(reason=f"{doing}: {said} ({code})")
    if isinstance(error, BotoCoreError):
        return StoreFailed(reason=f"{doing}: {type(error).__name__}")
    return StoreFailed(reason=f"{doing}: {error}")


def raise_missing(doing: str) -> NoReturn:
    """Raise that bytes are missing, which a scrub distinguishes from bytes that cannot be read now."""
    raise StoreFailed(reason=f"{doing}: there are no such bytes") from FileNotFoundError(
        errno.ENOENT, "no such object"
    )


def raise_damaged(doing: str) -> NoReturn:
    """Say that what is in the bucket can be read and is not what was written."""
    raise StoreFailed(reason=f"{doing}: what is in the bucket is damaged") from OSError(errno.EIO, "damaged")
