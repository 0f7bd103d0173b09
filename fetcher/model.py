"""The values that cross files.

All are immutable. Sizes are bytes, times are aware datetimes in UTC, digests
are lower-case hex, formats are the Image API's names.
"""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Literal

import msgspec

from fetcher.lifecycle import ENDS, Event, IllegalMove, State, next_state


def text_bytes(name: str | None, tags: Iterable[str], properties: Mapping[str, str]) -> int:
    """Return how many bytes of text an image's record holds, in UTF-8."""
    texts = (name or "", *tags, *properties, *properties.values())
    return sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)


Visibility = Literal["private", "shared", "community", "public"]


MemberStatus = Literal["pending", "accepted", "rejected"]


class Phase(StrEnum):
    """What a running import is doing."""

    CONNECTING = "connecting"
    PULLING = "pulling"
    VERIFYING = "verifying"
    CONVERTING = "converting"
    DELIVERING = "delivering"
    COMMITTING = "committing"


class Status(StrEnum):
    """An image's status, as the Image API v2 names it."""

    QUEUED = "queued"
    SAVING = "saving"
    UPLOADING = "uploading"
    IMPORTING = "importing"
    ACTIVE = "active"
    DEACTIVATED = "deactivated"


# Names of the Image API's own attributes: no custom property may take one.
# What file systems and disks write whole: pieces that end at one need not be cut again on their way.
BLOCK_BYTES = 4096

RESERVED_PROPERTIES = frozenset(
    {
        *(
            "id",
            "owner",
            "name",
            "status",
            "visibility",
            "protected",
            "os_hidden",
            "tags",
            "file",
            "self",
            "schema",
        ),
        *("disk_format", "container_format", "size", "virtual_size", "min_disk", "min_ram", "stores"),
        *("checksum", "os_hash_algo", "os_hash_value", "created_at", "updated_at", "direct_url", "locations"),
        *("location", "deleted", "deleted_at"),
    }
)


def is_property(name: str) -> bool:
    """Return whether a custom property may have this name."""
    return 0 < len(name) <= 255 and name not in RESERVED_PROPERTIES and not name.startswith("os_glance")


class Value(msgspec.Struct, frozen=True, kw_only=True):
    """The base of every value here."""


class Digest(Value, frozen=True, kw_only=True):
    """One digest.

    Args:
        algorithm: hashlib's name: sha256, sha512 ...
        value: Lower-case hex, of the algorithm's length.
    """

    algorithm: str
    value: str

    def __str__(self) -> str:
        """Print as `algorithm:hex`, the form that the API takes."""
        return f"{self.algorithm}:{self.value}"


class Actor(Value, frozen=True, kw_only=True):
    """Who calls.

    Args:
        project_id: What the call is scoped to.
        user_id: Who is recorded.
        roles: As in secure RBAC: reader, member, admin.
        is_service: Another service of the cloud makes the call for its user.
    """

    project_id: str
    user_id: str
    roles: frozenset[str] = frozenset({"member", "reader"})
    is_service: bool = False

    @property
    def is_admin(self) -> bool:
        """May see and do everything."""
        return "admin" in self.roles


class RemoteImage(Value, frozen=True, kw_only=True):
    """An image of another image service, which the operator gave a name."""

    region: str
    image_id: str


class BucketAccess(Value, frozen=True, kw_only=True):
    """Where a bucket is, and who may read it.

    Args:
        endpoint: Of the server; None is the operator's.
        region: None is the operator's.
        addressing: How the bucket is named: in the path, or before the host.
        access_key_id: None asks without a signature.
        secret_access_key: Signs, and is sent to nobody.
        session_token: Of temporary credentials.
    """

    endpoint: str | None = None
    region: str | None = None
    addressing: Literal["auto", "path", "virtual"] = "auto"
    access_key_id: str | None = None
    secret_access_key: str | None = None
    session_token: str | None = None


class ClientCertificate(Value, frozen=True, kw_only=True):
    """Who we are to a source that asks.

    Args:
        certificate_pem: The certificate, and those that lead to its authority.
        key_pem: Its private key, secret and not encrypted.
    """

    certificate_pem: str
    key_pem: str


class CatalogueOrigin(Value, frozen=True, kw_only=True):
    """Which image of which catalogue a name led to.

    Args:
        signer: The fingerprint of the certificate that vouches for the catalogue; None where none has to.
        fetched_at: When the catalogue was last seen at its source.
        end_of_life: The last day on which the publisher looks after it.
    """

    catalogue: str
    name: str
    serial: str
    arch: str
    signer: str | None = None
    fetched_at: datetime
    released: date | None = None
    end_of_life: date | None = None


class Submission(Value, frozen=True, kw_only=True):
    """What somebody asked for, checked for shape but not yet against the world.

    Args:
        url: As submitted, secrets and all; use `redacted` to show it.
        max_bytes: Already the lower of the submitter's and the operator's cap.
        headers: Of the submitter's own, secret; only their names are ever shown.
        mirrors: Further URLs of the same bytes, best first.
        checksum_url: Of a file that lists the digest.
        checksum_signature_url: Of the signature on that file, where it is apart.
        checksum_source: Who promised the checksum: the submitter, a remote service's record, a catalogue.
        copied_properties: Of the remote record, added to the image together with its bytes.
        remote: Where the image is, for the method glance-download.
        notify_url: Told when the import has ended.
        notify_secret: Signs what is told; kept apart, never shown.
        ca_pem: Authorities (PEM) that are trusted for the requests of this import alone.
        disk: Which disk of an archive, by name or by number from 1.
        convert_to: The format that the image is to have in the end: as-received, raw or qcow2.
        rules: Names of the operator's rules that hold for it.
        s3: Where the bucket of an s3:// URL is; its keys are secret.
        client_certificate: Shown to the origin of the URL, where that asks; secret.
        client_sha256: The fingerprint of that certificate, which stays.
        target_image_id: An image at the target that waits for the bytes; None has one made there.
        catalogue: Where the URL is from, if it was asked for by name.
    """

    url: str
    name: str | None = None
    disk_format: str | None = None
    container_format: str | None = None
    checksum: Digest | None = None
    max_bytes: int
    min_disk: int = 0
    min_ram: int = 0
    tags: tuple[str, ...] = ()
    properties: dict[str, str] = {}
    visibility: Visibility = "private"
    headers: dict[str, str] = {}
    mirrors: tuple[str, ...] = ()
    checksum_url: str | None = None
    checksum_signature_url: str | None = None
    remote: RemoteImage | None = None
    checksum_source: str = "submitter"
    copied_properties: dict[str, str] = {}
    notify_url: str | None = None
    notify_secret: str | None = None
    ca_pem: str | None = None
    disk: str | None = None
    convert_to: str | None = None
    rules: tuple[str, ...] = ()
    s3: BucketAccess | None = None
    client_certificate: ClientCertificate | None = None
    client_sha256: str | None = None
    target_image_id: str | None = None
    catalogue: CatalogueOrigin | None = None


class TlsPeer(Value, frozen=True, kw_only=True):
    """Who the other end of a TLS connection proved to be."""

    version: str
    subject: str
    issuer: str
    not_after: str
    sha256: str


class Hop(Value, frozen=True, kw_only=True):
    """One request of a chain of redirects.

    Args:
        url: Redacted.
        address: The address that was dialled.
    """

    url: str
    status: int | None = None
    address: str | None = None
    port: int | None = None
    tls: TlsPeer | None = None
    headers: dict[str, str] = {}
    at: datetime


class Attempt(Value, frozen=True, kw_only=True):
    """One try at pulling, and how it ended.

    Args:
        number: From 1.
        code: None while it runs, `ok`, or the code of its failure as told to the submitter.
        offset: The first byte that came; more than 0 when it resumed.
        url: Which of the sources was asked; redacted.
        connections: How many were used at most.
        truth: What really ended it (`code`, `message`), where the submitter is told less: for administrators.
    """

    number: int
    started_at: datetime
    ended_at: datetime | None = None
    code: str | None = None
    reason: str | None = None
    offset: int = 0
    received_bytes: int = 0
    wait_seconds: float = 0.0
    hops: tuple[Hop, ...] = ()
    url: str = ""
    connections: int = 1
    truth: dict[str, str] | None = None

    @property
    def addresses(self) -> list[str]:
        """Return those that were dialled, or would have been."""
        return list(dict.fromkeys(hop.address for hop in self.hops if hop.address is not None))


class FormatVerdict(Value, frozen=True, kw_only=True):
    """What the bytes are.

    Args:
        disk_format: The Image API's name: raw, qcow2, vmdk, iso ...
        container_format: bare, or ova, ami, aki, ari, compressed.
        name: For people: "QCOW2 v3 disk image".
        virtual_bytes: The size of the disk that a guest sees; None where unknown.
        facts: Further findings, flat, JSON-ready.
    """

    disk_format: str
    container_format: str
    name: str
    virtual_bytes: int | None = None
    facts: dict[str, Any] = {}


class Verdict(Value, frozen=True, kw_only=True):
    """How an import ended.

    Args:
        code: `ok`, or a code of the table of errors.
        fields: The facts that the submitter may see.
    """

    code: str
    title: str
    advice: str = ""
    fields: dict[str, Any] = {}


class Notice(Value, frozen=True, kw_only=True):
    """What has become of telling somebody that an import has ended.

    Args:
        attempts: Made so far; none before the import has ended.
        at: When the last one ended.
        next_at: When the next one begins; None when there is none.
        status: Of the last answer; None when none came.
        code: Why the last attempt came to nothing, as the submitter may know it.
    """

    state: Literal["pending", "delivered", "given-up"] = "pending"
    attempts: int = 0
    at: datetime | None = None
    next_at: datetime | None = None
    status: int | None = None
    code: str | None = None


class Delivery(Value, frozen=True, kw_only=True):
    """How far an image has come on its way into the target image service.

    Args:
        url: Of the service.
        image_id: There.
        is_made: Its record there is of our making, and goes again if nothing comes of it.
        status: Of the image there, as last seen; `left` where it could not be removed again.
        sent_bytes: Of the image, in the attempt that runs or ran last.
        size: Of the image in bytes.
        is_away: The image is there alone: nothing of it stayed here.
    """

    url: str
    image_id: str
    is_away: bool = False
    is_made: bool = False
    status: str | None = None
    sent_bytes: int = 0
    size: int | None = None


class Import(Value, frozen=True, kw_only=True):
    """One import, from submission to verdict.

    Args:
        sums_signature: What the signature on the checksum file is worth: `good`, or why it proves nothing;
            None where it has none, or was not compared with.
        length_verified: False where the source did not say where its body ends, so that a broken connection
            looks like the end; None before it has answered.
        received_bytes: As they came, packed if they were.
        digests: Of what is kept: those of the image.
        stages: What was done to the received bytes, by stage; empty where they are kept as they came.
        delivery: On its way into the target image service; None where there is none.
    """

    id: str
    image_id: str
    project_id: str
    user_id: str
    method: str
    submission: Submission
    state: State
    phase: Phase | None = None
    claim: int = 0
    received_bytes: int = 0
    expected_bytes: int | None = None
    bytes_per_second: float | None = None
    attempts: tuple[Attempt, ...] = ()
    format: FormatVerdict | None = None
    digests: dict[str, str] = {}
    verified_by: str = "none"
    sums_signature: str | None = None
    length_verified: bool | None = None
    stages: dict[str, Any] = {}
    delivery: Delivery | None = None
    verdict: Verdict | None = None
    notice: Notice | None = None
    owns_image: bool = True
    request_id: str | None = None
    created_at: datetime
    started_at: datetime | None = None
    updated_at: datetime
    ended_at: datetime | None = None

    def moved(self, event: Event, now: datetime, **changes: Any) -> "Import":
        """Return the record after an event that leaves work to be done.

        Raises:
            IllegalMove: It has ended, or the table has no such move.
        """
        if event in ENDS:
            raise IllegalMove(self.state, event)  # An end has a verdict: see `ended`.
        state = next_state(self.state, event)
        return msgspec.structs.replace(self, **changes, state=state, updated_at=now)

    def ended(self, event: Event, verdict: Verdict, now: datetime, **changes: Any) -> "Import":
        """Return the record after its end; the one way in which any import ends.

        Raises:
            IllegalMove: It has ended before, or the event is no end.
        """
        if event not in ENDS:
            raise IllegalMove(self.state, event)
        return msgspec.structs.replace(
            self,
            **changes,
            state=next_state(self.state, event),
            phase=None,
            verdict=verdict,
            updated_at=now,
            ended_at=now,
        )

    @property
    def is_away(self) -> bool:
        """Return whether the image that it made is at the target alone."""
        return self.delivery is not None and self.delivery.is_away

    @property
    def home_url(self) -> str | None:
        """Return the image service that has its image, where that is not this one."""
        return self.delivery.url if self.delivery is not None and self.is_away else None

    @property
    def made_image_id(self) -> str:
        """Return the id of its image, where that is."""
        return self.delivery.image_id if self.delivery is not None and self.is_away else self.image_id

    @property
    def received_digests(self) -> dict[str, str]:
        """Return the digests of what was received, of which promises speak."""
        found: dict[str, str] = self.stages.get("received", {}).get("digests", self.digests)
        return found


class Blob(Value, frozen=True, kw_only=True):
    """Bytes in the store, named by their sha256."""

    sha256: str
    size: int
    digests: dict[str, str]
    virtual_bytes: int | None = None
    created_at: datetime


class Image(Value, frozen=True, kw_only=True):
    """A record of the Image API v2.

    Args:
        import_id: The import that writes the image now; read only.
        staged_bytes: The size of the bytes that wait for glance-direct; read only.
    """

    id: str
    project_id: str
    name: str | None = None
    status: Status
    visibility: Visibility = "private"
    is_protected: bool = False
    is_hidden: bool = False
    disk_format: str | None = None
    container_format: str | None = None
    size: int | None = None
    virtual_size: int | None = None
    md5: str | None = None
    sha256: str | None = None
    sha512: str | None = None
    min_disk: int = 0
    min_ram: int = 0
    tags: tuple[str, ...] = ()
    properties: dict[str, str] = {}
    import_id: str | None = None
    staged_bytes: int | None = None
    created_at: datetime
    updated_at: datetime


class Member(Value, frozen=True, kw_only=True):
    """A project that an image is shared with, and what it said to that."""

    image_id: str
    member_id: str
    status: MemberStatus
    created_at: datetime
    updated_at: datetime
