"""Options that several commands share."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from fetcher.cli.client import Client
from fetcher.cli.screen import Screen
from fetcher.cli.server.buckets import Bucket
from fetcher.model import Visibility
from fetcher.parsers.catalogues.names import is_name
from fetcher.settings.guards.formats import ContainerFormat, DiskFormat

ConfigFile = Annotated[Path | None, Parameter(env_var="FETCHER_CONFIG")]
"""The operator's file, laid over `config.toml` key by key."""

Key = Annotated[str | None, Parameter(name=("--idempotency-key", "--key"))]
"""An Idempotency-Key: the same command run twice with it does its work once."""

AsJson = Annotated[bool, Parameter(name="--json", negative="")]
"""Print one JSON document instead of words."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Server:
    """Server to talk to."""

    server: Annotated[str, Parameter(env_var="FETCHER_SERVER")] = "http://127.0.0.1:9292"
    """Address of the server."""

    token: Annotated[str | None, Parameter(env_var=["FETCHER_TOKEN", "OS_TOKEN"], show_env_var=True)] = None
    """Your token, where the server wants one; safer in the environment, where `ps` does not show it."""

    cacert: Annotated[Path | None, Parameter(env_var=["FETCHER_CACERT", "OS_CACERT"], show_env_var=True)] = (
        None
    )
    """A file with authorities (PEM) that vouch for an https server, in place of the system's."""

    json: AsJson = False
    """Print one JSON document instead of words."""

    def client(self) -> Client:
        """Talk to it."""
        return Client(self.server, self.token, self.cacert)

    def screen(self) -> Screen:
        """Print what it says."""
        return Screen(as_json=self.json)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Facts about the image that are known beforehand; all of them are optional."""

    name: str | None = None
    """Name of the image."""

    disk_format: DiskFormat | None = None
    """Expected disk format; found out when not given."""

    container_format: ContainerFormat | None = None
    """Container around the disk; found out when not given."""

    disk: str | None = None
    """Disk of an archive with several, by name or by number from 1."""

    convert_to: Literal["as-received", "raw", "qcow2"] | None = None
    """The format that the image is to have; by default the operator's."""

    checksum: str | None = None
    """The publisher's digest as `sha256:HEX`; other bytes are refused."""

    checksum_url: str | None = None
    """URL of the publisher's file of digests (SHA256SUMS and the like)."""

    checksum_signature_url: str | None = None
    """URL of the signature of that file, where it is apart (SHA256SUMS.gpg and the like)."""

    mirror: Annotated[tuple[str, ...], Parameter(negative="")] = ()
    """Another URL with the same bytes; may be given several times."""

    header: Annotated[tuple[str, ...], Parameter(negative="")] = ()
    """A header for the source as `NAME: VALUE`, kept secret; may be given several times."""

    ca_pem: Annotated[Path | None, Parameter(name="--ca-pem")] = None
    """A file with authorities (PEM) that are trusted for this import alone."""

    client_certificate: Path | None = None
    """A file with the certificate (PEM) to show to a source that asks for one."""

    client_key: Path | None = None
    """A file with its private key (PEM), kept secret; the same as --client-certificate if both are in it."""

    bucket: Bucket = field(default_factory=Bucket)

    max_bytes: int | None = None
    """Refuse more than this; can only lower the operator's limit."""

    min_disk: int = 0
    """The smallest disk that the image boots from, in GB."""

    min_ram: int = 0
    """The least memory that the image boots with, in MB."""

    tag: Annotated[tuple[str, ...], Parameter(negative="")] = ()
    """A tag for the image; may be given several times."""

    property: Annotated[tuple[str, ...], Parameter(negative="")] = ()
    """A property as NAME=VALUE; may be given several times."""

    visibility: Visibility = "private"
    """Visibility of the image."""

    target_image: str | None = None
    """An image at the target image service that waits for the bytes; by default one is made there."""

    def body(self, url: str) -> dict[str, object]:
        """Return the submission as the API takes it.

        Raises:
            ValueError: A property is not of the form NAME=VALUE, a header not of NAME: VALUE, or a
                file cannot be read.
        """
        given = {
            "name": self.name,
            "disk_format": self.disk_format,
            "container_format": self.container_format,
            "disk": self.disk,
            "convert_to": self.convert_to,
            "checksum": self.checksum,
            "max_bytes": self.max_bytes,
            "min_disk": self.min_disk or None,
            "min_ram": self.min_ram or None,
            "checksum_url": self.checksum_url,
            "checksum_signature_url": self.checksum_signature_url,
            "mirrors": list(self.mirror) or None,
            "headers": _pairs("--header", self.header, ":") or None,
            "ca_pem": None if self.ca_pem is None else _text("--ca-pem", self.ca_pem),
            "client_certificate_pem": _pem("--client-certificate", self.client_certificate, "CERTIFICATE"),
            "client_key_pem": _pem("--client-key", self.client_key, "PRIVATE KEY"),
            "s3": self.bucket.body(url),
            "tags": list(self.tag) or None,
            "properties": _pairs("--property", self.property, "=") or None,
            "target_image_id": self.target_image,
            "visibility": None if self.visibility == "private" else self.visibility,
        }
        place = {"catalogue": url} if is_name(url) else {"url": url}
        return {**place, **{key: value for key, value in given.items() if value is not None}}


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class WebhookReceiver:
    """Receiver of the news that the import has ended."""

    notify: str | None = None
    """A URL that the server notifies, with a small POST, when the import has ended."""

    notify_secret: Annotated[str | None, Parameter(env_var="FETCHER_NOTIFY_SECRET", show_env_var=True)] = None
    """Signs the notification; safer in the environment, where `ps` does not show it."""

    def fields(self) -> dict[str, object]:
        """Return the fields of a submission; a secret is of no use without a receiver."""
        if self.notify is None:
            return {}
        secret = {} if self.notify_secret is None else {"notify_secret": self.notify_secret}
        return {"notify_url": self.notify, **secret}


def _pem(option: str, file: Path | None, kind: str) -> str | None:
    """Return the blocks of one kind from a file: certificate and key often stand in the same one."""
    if file is None:
        return None
    text = _text(option, file)
    blocks = re.findall(rf"-----BEGIN [^-\n]*{kind}-----[^-]*-----END [^-\n]*-----", text)
    if not blocks:
        raise ValueError(f"{option}: {file} holds no {kind.lower()} in PEM")
    return "\n".join(blocks) + "\n"


def _text(option: str, file: Path) -> str:
    """Return the text of a file."""
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{option}: {file} cannot be read as text") from error


def _pairs(option: str, texts: tuple[str, ...], sign: str) -> dict[str, str]:
    """Names and values; a mistake is reported without its value, which may be secret."""
    found = {}
    for text in texts:
        name, there, value = text.partition(sign)
        if not there or not name.strip():
            raise ValueError(f"{option} is given as NAME{sign}VALUE")
        found[name.strip()] = value.strip() if sign == ":" else value
    return found
