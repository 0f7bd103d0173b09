"""Submissions: a URL, what is expected of it, and what may be shown to its source."""

from datetime import date, datetime
from typing import Literal

from fetcher.model.base import Digest, Value
from fetcher.model.images import Visibility


class RemoteImage(Value, frozen=True, kw_only=True):
    """An image of another image service, which the operator gave a name."""

    region: str
    image_id: str


class BucketAccess(Value, frozen=True, kw_only=True):
    """The place of a bucket, and its keys.

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
    """The client certificate for a source that asks for one.

    Args:
        certificate_pem: The certificate, and those that lead to its authority.
        key_pem: Its private key, secret and not encrypted.
    """

    certificate_pem: str
    key_pem: str


class CatalogueOrigin(Value, frozen=True, kw_only=True):
    """The image of a catalogue that a name led to.

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

    @property
    def has_ended(self) -> bool:
        """Return whether the publisher looks after it no more."""
        return self.end_of_life is not None and self.end_of_life < date.today()  # noqa: DTZ011 - its day has no zone


class Submission(Value, frozen=True, kw_only=True):
    """A submission, checked for shape but not yet against the world.

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
        notify_url: Notified when the import has ended.
        notify_secret: Signs the notification; kept apart, never shown.
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
