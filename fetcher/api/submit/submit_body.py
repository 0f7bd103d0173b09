"""The body of `POST /imports`."""

import re
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from fetcher.catalogues import Catalogues
from fetcher.config import Settings
from fetcher.errors import Forbidden, InvalidRequest
from fetcher.guards.stream.checksum import read_digest
from fetcher.guards.text import check_text
from fetcher.importer.schemes.pasted import stripped
from fetcher.model import RESERVED_PROPERTIES, Actor, BucketAccess, Submission, Visibility
from fetcher.settings.guards.formats import ContainerFormat, DiskFormat
from fetcher.transport import client_certificate, fingerprint

Text = Annotated[str, Meta(max_length=255)]
Amount = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Secret = Annotated[str, Meta(min_length=16, max_length=255, extra_json_schema={"writeOnly": True})]
Key = Annotated[str, Meta(max_length=8192, extra_json_schema={"writeOnly": True})]
Pem = Annotated[str, Meta(max_length=65_536, extra_json_schema={"writeOnly": True})]


class BucketBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The place of the bucket of an s3:// URL, and its keys; without keys it is asked as anybody."""

    endpoint: Annotated[str, Meta(max_length=1024)] | None = None
    region: Annotated[str, Meta(max_length=63)] | None = None
    addressing: Literal["auto", "path", "virtual"] = "auto"
    access_key_id: Key | None = None
    secret_access_key: Key | None = None
    session_token: Key | None = None


class SubmitBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /imports`."""

    url: str | UnsetType = UNSET
    catalogue: Annotated[str, Meta(min_length=1, max_length=512)] | UnsetType = UNSET
    name: Text | None = None
    disk_format: DiskFormat | None = None
    container_format: ContainerFormat | None = None
    checksum: Annotated[str, Meta(max_length=8_192)] | None = None
    max_bytes: Annotated[int, Meta(ge=1, le=2**63 - 1)] | None = None
    min_disk: Amount = 0
    min_ram: Amount = 0
    tags: Annotated[list[Text], Meta(max_length=128)] = []
    properties: Annotated[dict[Text, Annotated[str, Meta(max_length=65535)]], Meta(max_length=128)] = {}
    visibility: Visibility = "private"
    headers: dict[str, str] = {}
    mirrors: Annotated[list[str], Meta(max_length=64)] = []
    checksum_url: str | None = None
    checksum_signature_url: str | None = None
    ca_pem: Annotated[str, Meta(max_length=262_144)] | None = None
    client_certificate_pem: Pem | None = None
    client_key_pem: Pem | None = None
    s3: BucketBody | None = None
    disk: Annotated[str, Meta(min_length=1, max_length=1024)] | None = None
    convert_to: Literal["as-received", "raw", "qcow2"] | None = None
    notify_url: str | None = None
    notify_secret: Secret | None = None
    target_image_id: UUID | None = None

    def __post_init__(self) -> None:
        """Refuse a body with neither a URL nor a name, and one with both."""
        if (self.url is UNSET) == (self.catalogue is UNSET):
            raise ValueError("an import has a url, or as catalogue the name of an image in a catalogue")

    def to_submission(self, actor: Actor, settings: Settings) -> Submission:
        """Check what the types cannot say.

        Raises:
            InvalidRequest: A checksum, a property's name or a byte cap above the service's cannot be taken.
            QuotaExceeded: There is more text than a record may hold.
            Forbidden: Only an admin may make an image public.
        """
        for name in self.properties:
            if name in RESERVED_PROPERTIES or name.startswith("os_glance"):
                raise InvalidRequest(
                    field=f"properties.{name}", reason=f"the property name {name} is reserved"
                )
        if self.visibility == "public" and not actor.is_admin:
            raise Forbidden(reason="only an admin may make an image public")
        check_text(self.name, set(self.tags), self.properties, settings)
        cap = settings.size.max_bytes
        checksum, checksum_url = self._promise()
        client = client_certificate(self.client_certificate_pem, self.client_key_pem)
        return Submission(
            url="" if self.url is UNSET else self.url,
            name=self.name,
            disk_format=self.disk_format,
            container_format=self.container_format,
            checksum=read_digest(checksum, settings) if checksum is not None else None,
            max_bytes=cap if self.max_bytes is None else min(self.max_bytes, cap),  # The answer shows it.
            min_disk=self.min_disk,
            min_ram=self.min_ram,
            tags=tuple(sorted(set(self.tags))),
            properties=self.properties,
            visibility=self.visibility,
            headers=self.headers,
            mirrors=tuple(url for url in dict.fromkeys(self.mirrors) if url != self.url),
            checksum_url=checksum_url,
            checksum_signature_url=self.checksum_signature_url,
            ca_pem=self.ca_pem,
            client_certificate=client,
            client_sha256=None if client is None else fingerprint(client),
            s3=None if self.s3 is None else msgspec.convert(self.s3, BucketAccess, from_attributes=True),
            disk=self.disk,
            convert_to=self.convert_to,
            notify_url=self.notify_url,
            notify_secret=self.notify_secret,
            target_image_id=str(self.target_image_id) if self.target_image_id else None,
        )

    async def resolved(self, actor: Actor, settings: Settings, catalogues: Catalogues) -> Submission:
        """Check what the types cannot say, and find the URL of an image that is asked for by name.

        Raises:
            InvalidRequest: As from `to_submission`, or the name is none.
            UnknownName: No catalogue has an image of that name.
            CatalogueUnusable: The catalogue that may have it cannot be asked.
            QuotaExceeded, Forbidden: As from `to_submission`.
        """
        submission = self.to_submission(actor, settings)
        if self.catalogue is UNSET:
            return submission
        found = (await catalogues.resolve(self.catalogue)).fill(submission, settings)
        check_text(found.name, set(found.tags), found.properties, settings)
        return found

    def _promise(self) -> tuple[str | None, str | None]:
        """Return the digest and the checksum file's URL; `file:URL` is the latter, as Packer writes it."""
        checksum = None if self.checksum is None else stripped(self.checksum)
        if checksum is None or not checksum.lower().startswith(("file:", "https://", "http://")):
            return checksum, self.checksum_url
        if self.checksum_url is not None:
            raise InvalidRequest(field="checksum", reason="checksum names a file, and so does checksum_url")
        return None, re.sub(r"(?i)^file:", "", checksum).strip()
