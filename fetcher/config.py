"""`config.toml` and an operator's overlay to frozen typed values, or a list of all their mistakes at once."""

import tomllib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_type_hints

from fetcher.settings.attestation import Attestation
from fetcher.settings.auth import Auth, Keystone
from fetcher.settings.base import Mistake, Section, convert_section, printed
from fetcher.settings.catalogues import Catalogue, Catalogues
from fetcher.settings.guards.address import AddressRules
from fetcher.settings.guards.checksum import Checksum
from fetcher.settings.guards.exports import Exports
from fetcher.settings.guards.formats import Format
from fetcher.settings.guards.links import Links
from fetcher.settings.guards.notify import Notify
from fetcher.settings.guards.pace import Pace
from fetcher.settings.guards.publishers import Publisher
from fetcher.settings.guards.quota import Quota
from fetcher.settings.guards.redirects import Redirects
from fetcher.settings.guards.schemes import S3, Oci
from fetcher.settings.guards.size import Size
from fetcher.settings.guards.sums import Sums
from fetcher.settings.guards.url import Url
from fetcher.settings.image_api import ImageApi, Metadefs
from fetcher.settings.imports import Imports, Ranges, Resume, Retry, Reuse, Unpack
from fetcher.settings.log import Log
from fetcher.settings.network import Dns, Egress, Tls
from fetcher.settings.places.bucket import Bucket
from fetcher.settings.places.cluster import Cluster
from fetcher.settings.places.engine import Engine
from fetcher.settings.places.index import Index
from fetcher.settings.places.store import Maintenance, Store
from fetcher.settings.publish import Publish
from fetcher.settings.schedules import Schedules
from fetcher.settings.server import Inbound, Server
from fetcher.settings.stages import Convert, Inject
from fetcher.settings.target import Target


class Settings(Section, frozen=True, kw_only=True):
    """All of `config.toml`, checked: one line for each section."""

    server: Server
    inbound: Inbound
    auth: Auth
    keystone: Keystone
    image_api: ImageApi
    metadefs: Metadefs
    target: Target
    store: Store
    bucket: Bucket
    index: Index
    cluster: Cluster
    engine: Engine
    quota: Quota
    maintenance: Maintenance
    url: Url
    s3: S3
    oci: Oci
    address: AddressRules
    dns: Dns
    tls: Tls
    egress: Egress
    redirects: Redirects
    size: Size
    pace: Pace
    format: Format
    unpack: Unpack
    convert: Convert
    inject: Inject
    checksum: Checksum
    sums: Sums
    publisher: Publisher
    catalogue: Catalogue
    catalogues: Catalogues
    schedules: Schedules
    imports: Imports
    retry: Retry
    resume: Resume
    reuse: Reuse
    ranges: Ranges
    notify: Notify
    attestation: Attestation
    exports: Exports
    links: Links
    publish: Publish
    log: Log


# Sections that may be written as tables of their own each, and the key that these are the list of.
LISTED = {"inject": "rules", "publisher": "rules", "catalogue": "sources"}
# What sections and keys were called before; an operator's file may still say so.
FORMER_SECTIONS = {"upkeep": "maintenance"}
FORMER_KEYS = {("maintenance", "mend"): "repair"}


class Current:
    """The settings in force: replaced as a whole, so that who takes them once sees one set to the end.

    Attributes:
        settings: Those that hold now; SIGHUP and Keystone's limits put others in their place.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings


class BadConfig(Exception):
    """A configuration with mistakes; all of them are listed.

    Args:
        mistakes: At least one.
    """

    def __init__(self, mistakes: list[Mistake]) -> None:
        super().__init__("\n".join(str(mistake) for mistake in mistakes))
        self.mistakes = mistakes


def base_path() -> Path:
    """Return where the `config.toml` with all defaults lies: in the package, or beside it in a checkout."""
    packaged = Path(__file__).with_name("config.toml")
    return packaged if packaged.exists() else Path(__file__).parent.parent / "config.toml"


def load_settings(overlay: Path | None = None, changes: dict[str, dict[str, Any]] | None = None) -> Settings:
    """Read the base file, lay the operator's over it, then `changes`, and check the whole.

    Raises:
        BadConfig: With every mistake of the file.
    """
    merged: dict[str, Any] = _read(base_path())
    unknown: list[Mistake] = []
    for layer in (_read(overlay) if overlay else {}, changes or {}):
        unknown += _lay_over(merged, layer)
    settings, mistakes = _convert(merged)
    mistakes = unknown + mistakes
    if settings is not None:
        mistakes += _contradictions(settings)
    if mistakes or settings is None:
        raise BadConfig(mistakes)
    return settings


def data_folder(settings: Settings, overlay: Path | None = None) -> Path:
    """Return where the store is: as given, relative to the folder of the file that was read."""
    beside = overlay or base_path()
    return (beside.parent / settings.store.folder).resolve()


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise BadConfig(
            [Mistake(key=str(path), value="", expected=f"a readable file ({error.strerror})")]
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadConfig(
            [Mistake(key=str(path), value=str(error), expected="a TOML file in UTF-8")]
        ) from error


def _lay_over(base: dict[str, Any], layer: dict[str, Any]) -> list[Mistake]:
    mistakes = []
    for written, given in layer.items():
        name = FORMER_SECTIONS.get(written, written)
        table = {LISTED[name]: given} if name in LISTED and isinstance(given, list) else given
        if name not in base:
            mistakes.append(Mistake(key=name, value=printed(table), expected=f"a section: {', '.join(base)}"))
        elif not isinstance(table, dict):
            mistakes.append(Mistake(key=name, value=printed(table), expected=f"a table, written [{name}]"))
        else:
            known = base[name]
            for former, value in table.items():
                key = FORMER_KEYS.get((name, former), former)
                if key not in known:
                    expected = f"a key of [{name}]: {', '.join(known)}"
                    mistakes.append(Mistake(key=f"{name}.{key}", value=printed(value), expected=expected))
                else:
                    known[key] = value
    return mistakes


def _convert(merged: dict[str, Any]) -> tuple[Settings | None, list[Mistake]]:
    sections: dict[str, Section] = {}
    mistakes: list[Mistake] = []
    for name, section in get_type_hints(Settings).items():
        values: dict[str, Any] = {}
        found = list(convert_section(name, section, merged.get(name, {}), values))
        mistakes += found
        if not found:
            sections[name] = section(**values)
    return (None if mistakes else Settings(**sections)), mistakes  # type: ignore[arg-type] # by name


def _contradictions(settings: Settings) -> Iterator[Mistake]:
    """Find what each key alone cannot show, first within sections, then between them."""
    for name in get_type_hints(Settings):
        yield from getattr(settings, name).mistakes()
    if settings.imports.keep_finished_days < settings.maintenance.keep_idempotency_days:
        value, days = str(settings.imports.keep_finished_days), settings.maintenance.keep_idempotency_days
        least = f"maintenance.keep_idempotency_days ({days:g})"
        expected = f"at least {least}: its record answers a repeated request"
        yield Mistake(key="imports.keep_finished_days", value=value, expected=expected)
    if settings.inbound.max_body_bytes < settings.server.max_request_bytes:
        value, most = str(settings.inbound.max_body_bytes), settings.server.max_request_bytes
        expected = f"at least server.max_request_bytes ({most}), else such a request is never taken"
        yield Mistake(key="inbound.max_body_bytes", value=value, expected=expected)
    if settings.auth.mode == "local" and not settings.server.is_local:
        expected = "a loopback address, because auth.mode = local lets everybody in"
        yield Mistake(key="server.listen", value=settings.server.listen, expected=expected)
    if not settings.index.is_shared and set(settings.cluster.roles) != {"api", "worker"}:
        expected = "both roles, unless [index] url has other hosts share the records"
        yield Mistake(key="cluster.roles", value=printed(settings.cluster.roles), expected=expected)
    if not settings.index.is_shared and settings.engine.kind != "postgres":
        expected = '"postgres", unless [index] url has other hosts share the records'
        yield Mistake(key="engine.kind", value=printed(settings.engine.kind), expected=expected)
    yield from _about_the_bucket(settings)
    yield from _auth_mistakes(settings)
    yield from _quota_mistakes(settings)
    if settings.target.url and settings.auth.mode == "tokens":
        expected = 'empty with auth.mode = tokens: these mean nothing to another service; use "keystone"'
        yield Mistake(key="target.url", value=printed(settings.target.url), expected=expected)


def _about_the_bucket(settings: Settings) -> Iterator[Mistake]:
    """Find what does not go with a store in a bucket, or without one."""
    if not settings.store.url:
        if settings.store.redirect_downloads:
            expected = "false where store.url is empty: a folder has no URLs"
            yield Mistake(key="store.redirect_downloads", value="true", expected=expected)
        return
    if settings.server.x_accel_location:
        expected = "empty where store.url is a bucket: nginx has no files to send"
        value = printed(settings.server.x_accel_location)
        yield Mistake(key="server.x_accel_location", value=value, expected=expected)
    if settings.size.max_bytes > settings.bucket.max_image_bytes:
        expected = "at least a 10,000th of size.max_bytes: an object has at most 10,000 parts"
        yield Mistake(key="bucket.part_bytes", value=str(settings.bucket.part_bytes), expected=expected)
    if find_spec("aiobotocore") is None:
        expected = "the package aiobotocore, which is not installed; in the checkout: make setup EXTRAS=s3"
        yield Mistake(key="store.url", value=printed(settings.store.url), expected=expected)


def _auth_mistakes(settings: Settings) -> Iterator[Mistake]:
    """Find what a mode of authentication lacks."""
    if settings.auth.mode == "tokens" and not settings.auth.tokens:
        expected = "at least one token for auth.mode = tokens; python server.py --make-token makes one"
        yield Mistake(key="auth.tokens", value="[]", expected=expected)
    if settings.auth.mode != "keystone":
        return
    keystone = settings.keystone
    for key in ("auth_url", "username"):
        if not getattr(keystone, key):
            yield Mistake(key=f"keystone.{key}", value='""', expected="a value for auth.mode = keystone")
    if bool(keystone.password) == bool(keystone.password_file):
        expected = "a value for one of password and password_file, for auth.mode = keystone"
        yield Mistake(key="keystone.password", value='"..."', expected=expected)
    if find_spec("keystoneauth1") is None:
        expected = (
            "the package keystoneauth1, which is not installed; in the checkout: make setup EXTRAS=keystone"
        )
        yield Mistake(key="auth.mode", value='"keystone"', expected=expected)


def _quota_mistakes(settings: Settings) -> Iterator[Mistake]:
    """Find what Keystone's limits as quotas lack."""
    if settings.quota.source != "keystone":
        return
    if settings.auth.mode != "keystone":
        expected = "config, unless auth.mode = keystone"
        yield Mistake(key="quota.source", value='"keystone"', expected=expected)
    if not settings.keystone.endpoint_id:
        yield Mistake(key="keystone.endpoint_id", value='""', expected="a value for quota.source = keystone")
