"""The values of imports: what a submission writes, what only a pull may know, what lists are asked for."""

from datetime import datetime
from typing import NamedTuple

import msgspec

from fetcher.index.values.reading import ANSWER_BYTES
from fetcher.lifecycle import State
from fetcher.model import Blob, BucketAccess, ClientCertificate, FormatVerdict, Image, Import, Submission

ATTEMPT_CODE = "attempt_code"  # Of any of its attempts; for administrators also the true one.
COLUMNS = ("state", "code", "method", "image_id", "user_id")
FILTERS = (*COLUMNS, ATTEMPT_CODE)
TASK_ORDERS = ("created_at", "updated_at", "expires_at", "status", "type", "id")


class IdempotencyKey(msgspec.Struct, frozen=True, kw_only=True):
    """A submitter's key for one request, and a digest of that request."""

    key: str
    fingerprint: str


class Worker(msgspec.Struct, frozen=True, kw_only=True):
    """The runner of imports.

    Args:
        name: The same after a restart, so that a worker takes up its own at once.
        lease_seconds: How long nobody else takes up an import of a worker that no longer renews its lease.
    """

    name: str = "local"
    lease_seconds: float = 60.0


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """The keys that open a source beside headers.

    Args:
        s3: Keys of a bucket, and where it is.
        client: The client's certificate with its key.
        variant: What else decides which bytes come, such as an architecture.
    """

    s3: BucketAccess | None = None
    client: ClientCertificate | None = None
    variant: str = ""


class Secrets(msgspec.Struct, frozen=True, kw_only=True):
    """The secrets of an import; dropped when it ends.

    Args:
        url: The URL with its secrets.
        headers: The submitter's own request headers.
        mirrors: Further URLs of the same bytes.
        checksum_url: Of a file that lists the digest.
        checksum_signature_url: Of the signature on that file.
        access: What else opens the source.
        target_token: The submitter's own, for the image service that the image goes on to.
    """

    url: str
    headers: dict[str, str] = {}
    mirrors: tuple[str, ...] = ()
    checksum_url: str | None = None
    checksum_signature_url: str | None = None
    access: Access = Access()
    target_token: str | None = None


class Unfinished(msgspec.Struct, frozen=True):
    """An import that waits for its turn, as a start finds it: no more of it than its ticket needs."""

    id: str
    project_id: str
    method: str
    is_delivered: bool
    submission: Submission
    secrets: Secrets


class LeftBehind(msgspec.Struct, frozen=True):
    """Whatever has no end when a service starts, oldest first.

    Args:
        waiting: Imports to take up.
        sent: Imports whose bytes somebody was sending.
        committing: Those of the waiting ones, whole, whose bytes may be there already.
    """

    waiting: list[Unfinished]
    sent: list[Import]
    committing: list[Import]


class WebhookTarget(msgspec.Struct, frozen=True, kw_only=True):
    """The receiver of an import's webhook.

    Args:
        url: With its secrets; None is the operator's own, as the settings then have it.
        secret: Signs the notification; None leaves it unsigned.
    """

    url: str | None = None
    secret: str | None = None


class Claimed(NamedTuple):
    """An import that a run has taken, and what the run needs to know.

    Args:
        record: As it is from the claim on.
        secrets: Dropped when it ends.
        used_bytes: What its project's images hold at that moment.
    """

    record: Import
    secrets: Secrets
    used_bytes: int


class Contents(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of an image that come with its bytes.

    Args:
        id: Of the image.
        name: For an image that has none.
        disk_format: As it was judged; None leaves what the image says.
        container_format: Likewise.
    """

    id: str
    name: str | None
    disk_format: str | None
    container_format: str | None
    virtual_size: int | None
    updated_at: datetime


class Waiting(msgspec.Struct, frozen=True, array_like=True):
    """An import that waits, as far as a host has to know it that may begin it.

    Args:
        request: Equal for imports that could share a pull.
        is_shared: Whether this one may.
    """

    import_id: str
    project_id: str
    origin: str
    request: str
    is_shared: bool


class NewImport(msgspec.Struct, frozen=True, kw_only=True):
    """All that a submission writes, in one transaction.

    Args:
        image: Written when the import owns it; else it is there already, and queued.
        shown_url: The redacted URL, the only form that is kept for good.
        webhook: Notified when the import has ended.
        waiting: Announced to other hosts, where there are any: they need not read the records.
    """

    record: Import
    image: Image
    secrets: Secrets
    shown_url: str
    key: IdempotencyKey | None = None
    webhook: WebhookTarget | None = None
    waiting: Waiting | None = None


class TaskQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The filters of a list of imports.

    Args:
        methods: Only imports by these.
        states: Only imports in these; None for all.
        image_id: Only imports of this image; None for all.
        marker: The id of the import before the first one.
    """

    methods: tuple[str, ...]
    states: tuple[State, ...] | None = None
    image_id: str | None = None
    sort_key: str = "created_at"
    is_descending: bool = True
    limit: int
    max_bytes: int = ANSWER_BYTES
    marker: str | None = None


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes that passed the guards and wait for the call that makes an image of them.

    Args:
        blob: The bytes, in the store for good.
        format: What they are; None where the operator does not have uploads judged.
    """

    blob: Blob
    format: FormatVerdict | None
