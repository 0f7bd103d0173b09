"""`config.toml` and an operator's overlay to frozen typed values, or a list of all their mistakes at once."""

import tomllib
from collections.abc import Iterator
from importlib.util import find_spec
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import msgspec
from msgspec import Meta

Positive = Annotated[int, Meta(ge=1)]
Count = Annotated[int, Meta(ge=0)]
Seconds = Annotated[float, Meta(gt=0, le=315_360_000)]
Port = Annotated[int, Meta(ge=1, le=65535)]
Percent = Annotated[float, Meta(ge=0, le=90)]
Address = Annotated[str, Meta(pattern=r"^(\[[0-9A-Fa-f:.]+\]|[^:\[\]]+):\d{1,5}$", description="host:port")]
Network = Annotated[
    str, Meta(pattern=r"^[0-9A-Fa-f:.]+/\d{1,3}$", description="a network such as 10.1.0.0/16")
]
Name = Annotated[str, Meta(min_length=1, max_length=255)]
_HOST = r"(\*\.)?[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?"
HostPattern = Annotated[
    str, Meta(pattern=f"^{_HOST}$", description="a host name such as image.corp, or *.corp for all below it")
]
HostOrAddress = Annotated[
    str, Meta(pattern=f"^({_HOST}|[0-9A-Fa-f:.]+)$", description="a host name, *.name or an address")
]
Unproxied = Annotated[
    str,
    Meta(
        pattern=rf"^(\.?{_HOST}|[0-9A-Fa-f:.]+(/\d{{1,3}})?)$",
        description="a host name, .name for all below it, an address or a network",
    ),
]
Algorithm = Literal["md5", "sha1", "sha256", "sha384", "sha512"]
DiskFormat = Literal["raw", "qcow2", "vmdk", "vdi", "vhd", "vhdx", "iso", "ploop", "ami", "ari", "aki"]
ContainerFormat = Literal["bare", "ova", "ovf", "ami", "ari", "aki", "docker", "compressed"]


SigningSecret = Annotated[
    str,
    Meta(
        pattern=r"^(whsec_([A-Za-z0-9+/]{4}){5,}([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})"
        r"|(?!whsec_)[!-~]{16,255})?$",
        description="whsec_ and base64 of 16 bytes or more, or 16 to 255 printable characters, or nothing",
    ),
]


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file. No field has a default: `config.toml` holds them all."""


class Server(Section, frozen=True, kw_only=True):
    """Where the service listens."""

    listen: Address
    max_request_bytes: Positive
    shutdown_seconds: Seconds
    public_url: Annotated[
        str, Meta(pattern=r"^(https?://[^/?#]+)?$", description="http(s)://host[:port] or nothing")
    ]
    x_accel_location: Annotated[
        str,
        Meta(pattern=r"^(/[A-Za-z0-9/_.-]*[A-Za-z0-9])?$", description="a path such as /blobs, or nothing"),
    ]
    cors_origins: list[
        Annotated[str, Meta(pattern=r"^https?://[^/?#\s@]+$", description="http(s)://host[:port]")]
    ]
    page_items: Positive
    max_page_items: Positive
    max_answer_bytes: Positive
    event_seconds: Seconds

    @property
    def host(self) -> str:
        """The host to listen on, without brackets."""
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The port to listen on."""
        return int(self.listen.rpartition(":")[2])


class Inbound(Section, frozen=True, kw_only=True):
    """How long clients may keep us waiting, and how many there may be."""

    max_connections: Positive
    max_connections_per_address: Positive
    reserved_connections: Positive
    proxies: list[Network]
    head_seconds: Seconds
    idle_seconds: Seconds
    stall_seconds: Seconds
    min_bytes_per_second: Positive
    max_head_bytes: Annotated[int, Meta(ge=1024)]
    max_head_fields: Positive
    max_pipelined: Positive
    max_descriptors: Annotated[int, Meta(ge=64)]
    max_query_fields: Positive
    max_filter_values: Positive
    statement_seconds: Seconds


class Token(Section, frozen=True, kw_only=True):
    """A static token and whose it is.

    Args:
        sha256: Of the token, which is kept nowhere.
    """

    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$", description="64 hexadecimal digits")]
    project: Name
    user: Name
    roles: Annotated[list[Literal["reader", "member", "admin"]], Meta(min_length=1)]


class Auth(Section, frozen=True, kw_only=True):
    """Who may call."""

    mode: Literal["local", "tokens", "keystone"]
    project: Name
    tokens: list[Token]


class Keystone(Section, frozen=True, kw_only=True):
    """The identity service."""

    auth_url: Annotated[
        str, Meta(pattern=r"^(https?://[^?#\s]+)?$", description="http(s)://host[:port]/v3 or nothing")
    ]
    username: str
    password: str
    password_file: str
    project: str
    user_domain_id: str
    project_domain_id: str
    ca_file: str
    service_token_roles: list[Name]
    endpoint_id: str
    limits_seconds: Seconds
    timeout_seconds: Seconds
    cache_seconds: Seconds
    refused_seconds: Seconds


class Remote(Section, frozen=True, kw_only=True):
    """Another image service that images may be pulled from."""

    region: Name
    url: Annotated[
        str, Meta(pattern=r"^https?://[^?#\s]*[^?#\s/]$", description="http(s)://host[:port][/path]")
    ]


class ImageApi(Section, frozen=True, kw_only=True):
    """What the Image API v2 offers beside importing."""

    upload_role: Literal["member", "admin", "nobody"]
    default_visibility: Literal["private", "shared"]
    max_tags: Count
    max_properties: Count
    max_text_bytes: Positive
    max_members: Count
    remotes: list[Remote]
    copied_properties: list[str]
    locations: bool


class Metadefs(Section, frozen=True, kw_only=True):
    """Metadata definitions: descriptions of properties, for people who choose them."""

    max_namespaces: Count
    max_items: Count
    max_namespace_bytes: Count


class Store(Section, frozen=True, kw_only=True):
    """Where images and their records live."""

    folder: Annotated[str, Meta(min_length=1)]
    reserve_bytes: Count
    reserve_percent: Percent
    ballast_bytes: Annotated[int, Meta(ge=0, le=1_073_741_824)]
    write_bytes: Annotated[int, Meta(ge=4096, le=16_777_216)]
    direct_io: bool


UNLIMITED = 2**53  # Of a quota that does not bind; exact in the numbers of every client.


class ProjectQuota(Section, frozen=True, kw_only=True):
    """What one project may hold, where that is not what all may."""

    project: Annotated[str, Meta(min_length=1, max_length=255)]
    max_images: Count
    max_bytes: Count
    max_uploading: Count | None = None
    max_staged_bytes: Count | None = None


class Quota(Section, frozen=True, kw_only=True):
    """What one project may hold."""

    source: Literal["config", "keystone"]
    max_images: Count
    max_bytes: Count
    max_uploading: Count
    max_staged_bytes: Count
    max_text_bytes: Count
    projects: list[ProjectQuota]

    def all_of(self, project_id: str) -> tuple[int, int, int, int]:
        """Return images, bytes, images in the making, and staged bytes that a project may hold."""
        for entry in self.projects:
            if entry.project == project_id:
                uploading = self.max_uploading if entry.max_uploading is None else entry.max_uploading
                staged = self.max_staged_bytes if entry.max_staged_bytes is None else entry.max_staged_bytes
                return entry.max_images, entry.max_bytes, uploading, staged
        return self.max_images, self.max_bytes, self.max_uploading, self.max_staged_bytes

    def of(self, project_id: str) -> tuple[int, int]:
        """How many images and how many bytes a project may hold."""
        return self.all_of(project_id)[:2]


class Maintenance(Section, frozen=True, kw_only=True):
    """Looking after the store."""

    scrub_days: Seconds
    scrub_bytes_per_second: Annotated[int, Meta(ge=65_536)]
    mend: bool
    keep_audit_days: Seconds
    keep_idempotency_days: Seconds
    keep_retired_days: Seconds


class Url(Section, frozen=True, kw_only=True):
    """Which URLs may be submitted."""

    schemes: Annotated[list[Literal["https", "http"]], Meta(min_length=1)]
    ports: Annotated[list[Port], Meta(min_length=1)]
    max_url_bytes: Annotated[int, Meta(ge=64, le=65536)]
    max_mirrors: Annotated[int, Meta(ge=0, le=64)]
    allow_literals: bool
    allow_hosts: list[HostPattern]


class AllowedRange(Section, frozen=True, kw_only=True):
    """A range of addresses that may be dialled though it is not public.

    Args:
        ports: Which ports; none given means those of `[url]`.
    """

    cidr: str
    ports: list[Port] = []

    @property
    def network(self) -> IPv4Network | IPv6Network:
        """The range as a network."""
        return ip_network(self.cidr)


class AddressRules(Section, frozen=True, kw_only=True):
    """Which addresses may be dialled."""

    allow: list[AllowedRange]
    deny: list[Network]
    nat64_prefixes: list[Network]

    def allowing(self, address: IPv4Address | IPv6Address) -> Iterator[AllowedRange]:
        """Find the operator's entries that an address lies in."""
        return (entry for entry in self.allow if address in entry.network)


class Dns(Section, frozen=True, kw_only=True):
    """How names become addresses."""

    servers: list[Address]
    max_lookups: Annotated[int, Meta(ge=1, le=4096)]
    max_lookups_per_project: Positive
    max_answers: Annotated[int, Meta(ge=1, le=256)]


class Tls(Section, frozen=True, kw_only=True):
    """What makes an https source trustworthy."""

    ca_file: str
    system_cas: bool
    max_ca_pem_bytes: Annotated[int, Meta(ge=0, le=262_144)]
    unverified_hosts: list[HostOrAddress]


class Egress(Section, frozen=True, kw_only=True):
    """The way out."""

    proxy: Annotated[str, Meta(pattern=r"^(http://[^/@\s]+:\d{1,5})?$", description="http://host:port")]
    no_proxy: list[Unproxied]


class Redirects(Section, frozen=True, kw_only=True):
    """Where a source may send us."""

    max_redirects: Annotated[int, Meta(ge=0, le=20)]
    allow_downgrade: bool
    allow_promised_downgrade: bool


class Size(Section, frozen=True, kw_only=True):
    """What one import may hold."""

    max_bytes: Positive
    require_length: bool
    max_virtual_bytes: Positive


class Pace(Section, frozen=True, kw_only=True):
    """How long a source may keep us waiting."""

    dns_seconds: Seconds
    dial_seconds: Seconds
    connect_seconds: Seconds
    header_seconds: Seconds
    chain_seconds: Seconds
    unreachable_step_seconds: Annotated[float, Meta(ge=0, le=60)]
    idle_seconds: Seconds
    floor_bytes_per_second: Count
    floor_window_seconds: Seconds
    floor_grace_seconds: Annotated[float, Meta(ge=0)]
    total_seconds: Seconds


class Format(Section, frozen=True, kw_only=True):
    """What the bytes may be."""

    disk_formats: Annotated[list[DiskFormat], Meta(min_length=1)]
    container_formats: Annotated[list[ContainerFormat], Meta(min_length=1)]
    enforce_on_upload: bool
    encrypted_uploads: Literal["nobody", "service", "everybody"]


class Unpack(Section, frozen=True, kw_only=True):
    """Taking the disk out of what it was published in."""

    enabled: bool
    uploads: Literal["never", "not-raw", "always"]
    max_layers: Annotated[int, Meta(ge=1, le=8)]
    max_layer_bytes: Positive
    max_streams: Positive
    max_members: Positive
    max_window_bytes: Annotated[int, Meta(ge=1_048_576, le=2_147_483_648)]


class Checksum(Section, frozen=True, kw_only=True):
    """Which digests are taken and which are computed."""

    accepted: Annotated[list[Algorithm], Meta(min_length=1)]
    weak: list[Algorithm]
    computed: Annotated[list[Algorithm], Meta(min_length=1)]
    required: bool


class Sums(Section, frozen=True, kw_only=True):
    """Checksum files named by a submission."""

    max_bytes: Annotated[int, Meta(ge=1, le=67_108_864)]
    max_lines: Positive
    total_seconds: Seconds
    keys: list[str]
    require_signature: bool


class Imports(Section, frozen=True, kw_only=True):
    """How many at once."""

    max_running: Positive
    max_running_per_project: Positive
    max_running_per_origin: Positive
    max_connections_per_address: Positive
    max_queued: Positive
    max_submits_per_minute: Positive
    max_submits_per_minute_per_origin: Positive
    max_submits_per_minute_in_all: Positive
    buffer_bytes: Annotated[int, Meta(ge=4_194_304)]
    threads: Annotated[int, Meta(ge=1, le=256)]
    keep_finished_days: Seconds


class Retry(Section, frozen=True, kw_only=True):
    """Trying again after a source failure."""

    attempts: Annotated[int, Meta(ge=1, le=20)]
    max_attempts: Annotated[int, Meta(ge=1, le=1000)]
    first_wait_seconds: Seconds
    max_wait_seconds: Seconds
    max_retry_after_seconds: Annotated[float, Meta(ge=0)]


class Resume(Section, frozen=True, kw_only=True):
    """Going on after a crash or a restart."""

    mark_bytes: Annotated[int, Meta(ge=65_536)]
    checkpoint_bytes: Annotated[int, Meta(ge=65_536)]
    save_seconds: Seconds


class Reuse(Section, frozen=True, kw_only=True):
    """Bytes that are not pulled a second time."""

    share: Literal["off", "project", "everybody"] | bool
    revalidate: Literal["off", "project", "everybody"]

    def shares_within(self, project_id: str) -> str | None:
        """Name whose equal requests are one pull with a project's: its own; "", everybody's; None, nobody's.

        Plain true and false, of earlier files, are "project" and "off".
        """
        if self.share in {"off", False}:
            return None
        return "" if self.share == "everybody" else project_id


class Notify(Section, frozen=True, kw_only=True):
    """Telling others that an import has ended."""

    per_import: bool
    url: Annotated[
        str, Meta(pattern=r"^(https?://[^/?#\s@]+[^#\s]*)?$", description="http(s)://host[/path] or nothing")
    ]
    secret: SigningSecret
    attempts: Annotated[int, Meta(ge=1, le=100)]
    first_wait_seconds: Seconds
    max_wait_seconds: Seconds
    total_seconds: Seconds
    max_running: Annotated[int, Meta(ge=1, le=256)]
    max_running_per_project: Positive
    max_waiting: Positive


class Ranges(Section, frozen=True, kw_only=True):
    """Several connections for one pull."""

    connections: Annotated[int, Meta(ge=1, le=16)]
    min_bytes: Count
    segment_bytes: Annotated[int, Meta(ge=65_536, le=268_435_456)]
    buffer_bytes: Annotated[int, Meta(ge=65_536)]
    patience_seconds: Annotated[float, Meta(ge=0)]
    enough_bytes_per_second: Positive


class Log(Section, frozen=True, kw_only=True):
    """What the operator reads."""

    level: Literal["debug", "info", "warning", "error"]
    format: Literal["auto", "text", "json"]


class Settings(Section, frozen=True, kw_only=True):
    """All of `config.toml`, checked."""

    server: Server
    inbound: Inbound
    auth: Auth
    keystone: Keystone
    image_api: ImageApi
    metadefs: Metadefs
    store: Store
    quota: Quota
    upkeep: Maintenance
    url: Url
    address: AddressRules
    dns: Dns
    tls: Tls
    egress: Egress
    redirects: Redirects
    size: Size
    pace: Pace
    format: Format
    unpack: Unpack
    checksum: Checksum
    sums: Sums
    imports: Imports
    retry: Retry
    resume: Resume
    reuse: Reuse
    ranges: Ranges
    notify: Notify
    log: Log


class Mistake(msgspec.Struct, frozen=True, kw_only=True):
    """One thing wrong with a configuration.

    Args:
        key: `section.key`.
        value: What the file says, as TOML would print it; empty if nothing.
        expected: What it should be.
    """

    key: str
    value: str
    expected: str

    def __str__(self) -> str:
        """Print on one line."""
        return f"{self.key} = {self.value or '(missing)'}: expected {self.expected}"


class BadConfig(Exception):
    """A configuration with mistakes; all of them are listed.

    Args:
        mistakes: At least one.
    """

    def __init__(self, mistakes: list[Mistake]) -> None:
        super().__init__("\n".join(str(mistake) for mistake in mistakes))
        self.mistakes = mistakes


def base_path() -> Path:
    """Where the `config.toml` with all defaults lies: in the package, or beside it in a checkout."""
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
    """Where the store is: as given, relative to the folder of the file that was read."""
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
    for name, table in layer.items():
        if name not in base:
            mistakes.append(Mistake(key=name, value=_print(table), expected=f"a section: {', '.join(base)}"))
        elif not isinstance(table, dict):
            mistakes.append(Mistake(key=name, value=_print(table), expected=f"a table, written [{name}]"))
        else:
            known = base[name]
            for key, value in table.items():
                if key not in known:
                    expected = f"a key of [{name}]: {', '.join(known)}"
                    mistakes.append(Mistake(key=f"{name}.{key}", value=_print(value), expected=expected))
                else:
                    known[key] = value
    return mistakes


def _convert(merged: dict[str, Any]) -> tuple[Settings | None, list[Mistake]]:
    sections: dict[str, Section] = {}
    mistakes: list[Mistake] = []
    for name, section in get_type_hints(Settings).items():
        values: dict[str, Any] = {}
        found = list(_convert_section(name, section, merged.get(name, {}), values))
        mistakes += found
        if not found:
            sections[name] = section(**values)
    return (None if mistakes else Settings(**sections)), mistakes  # type: ignore[arg-type] # by name


def _convert_section(
    name: str, section: type[Section], table: dict[str, Any], into: dict[str, Any]
) -> Iterator[Mistake]:
    for key, kind in get_type_hints(section, include_extras=True).items():
        if key not in table:
            yield Mistake(key=f"{name}.{key}", value="", expected=_wanted(kind))
            continue
        try:
            into[key] = msgspec.convert(table[key], kind)
        except msgspec.ValidationError as error:
            yield Mistake(key=f"{name}.{key}", value=_print(table[key]), expected=_say(str(error), kind))


def _say(message: str, kind: Any) -> str:
    """Turn msgspec's complaint into what is expected instead."""
    wanted = message.removeprefix("Expected ").split(", got")[0]
    if "Invalid enum value" in message or "matching regex" in message:
        wanted = _wanted(kind)
    return wanted.replace("`", "")


def _wanted(kind: Any) -> str:
    schema = msgspec.json.schema(kind)
    inner = schema.get("items", schema)
    words = ["a list of" if "items" in schema else "", inner.get("description", "")]
    if "enum" in inner:
        words.append("one of " + ", ".join(inner["enum"]))
    elif not inner.get("description"):
        words.append(inner.get("type", "a table"))
    return " ".join(word for word in words if word)


def _print(value: object) -> str:
    return msgspec.json.encode(value, enc_hook=str).decode()


def _contradictions(settings: Settings) -> Iterator[Mistake]:
    """Find what each key alone cannot show."""
    yield from _bad_networks(settings.address)
    yield from _bad_unproxied(settings.egress)
    yield from _bad_trust(settings)
    if "sha256" not in settings.checksum.computed:
        expected = "a list with sha256, which names the blobs"
        yield Mistake(key="checksum.computed", value=_print(settings.checksum.computed), expected=expected)
    overlap = set(settings.checksum.accepted) & set(settings.checksum.weak)
    if overlap:
        yield Mistake(
            key="checksum.weak", value=_print(sorted(overlap)), expected="none of checksum.accepted"
        )
    if settings.retry.first_wait_seconds > settings.retry.max_wait_seconds:
        value = str(settings.retry.first_wait_seconds)
        yield Mistake(key="retry.first_wait_seconds", value=value, expected="at most retry.max_wait_seconds")
    if settings.imports.keep_finished_days < settings.upkeep.keep_idempotency_days:
        value, days = str(settings.imports.keep_finished_days), settings.upkeep.keep_idempotency_days
        expected = f"at least upkeep.keep_idempotency_days ({days:g}): its record answers a repeated request"
        yield Mistake(key="imports.keep_finished_days", value=value, expected=expected)
    yield from _wrong_listen(settings)
    yield from _nobody_gets_in(settings)
    yield from _limits_from_nowhere(settings)


def _wrong_listen(settings: Settings) -> Iterator[Mistake]:
    host, port = settings.server.host, settings.server.port
    if port > 65535:
        yield Mistake(key="server.listen", value=settings.server.listen, expected="a port up to 65535")
    if settings.auth.mode == "local" and not is_loopback(host):
        expected = "a loopback address, because auth.mode = local lets everybody in"
        yield Mistake(key="server.listen", value=settings.server.listen, expected=expected)


def _nobody_gets_in(settings: Settings) -> Iterator[Mistake]:
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


def _limits_from_nowhere(settings: Settings) -> Iterator[Mistake]:
    """Find what Keystone's limits as quotas lack."""
    if settings.quota.source != "keystone":
        return
    if settings.auth.mode != "keystone":
        expected = "config, unless auth.mode = keystone"
        yield Mistake(key="quota.source", value='"keystone"', expected=expected)
    if not settings.keystone.endpoint_id:
        yield Mistake(key="keystone.endpoint_id", value='""', expected="a value for quota.source = keystone")


def is_loopback(host: str) -> bool:
    """Whether a host in a listen address can only be reached from this machine."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _bad_networks(rules: AddressRules) -> Iterator[Mistake]:
    keys = {
        "allow.cidr": [entry.cidr for entry in rules.allow],
        "deny": rules.deny,
        "nat64_prefixes": rules.nat64_prefixes,
    }
    for key, values in keys.items():
        for value in values:
            wanted = "a network such as 10.1.0.0/16"
            try:
                network = ip_network(value)
            except ValueError:
                yield Mistake(key=f"address.{key}", value=value, expected=wanted)
                continue
            if key == "nat64_prefixes" and (
                network.version != 6 or network.prefixlen not in {32, 40, 48, 56, 64, 96}
            ):
                wanted = "an IPv6 network of 32, 40, 48, 56, 64 or 96 bits (RFC 6052)"
                yield Mistake(key=f"address.{key}", value=value, expected=wanted)


def _bad_unproxied(rules: Egress) -> Iterator[Mistake]:
    for value in rules.no_proxy:
        if "/" in value or ":" in value:
            try:
                ip_network(value, strict=False)
            except ValueError:
                yield Mistake(key="egress.no_proxy", value=value, expected="a network such as 10.1.0.0/16")


def _bad_trust(settings: Settings) -> Iterator[Mistake]:
    """Find what would leave nobody or nothing trusted, before the first import does."""
    tls, sums = settings.tls, settings.sums
    if not tls.ca_file and not tls.system_cas:
        yield Mistake(key="tls.system_cas", value="false", expected="true, or authorities in tls.ca_file")
    files = {"tls.ca_file": [tls.ca_file] if tls.ca_file else [], "sums.keys": sums.keys}
    for key, paths in files.items():
        for path in paths:
            if not Path(path).is_file():
                yield Mistake(key=key, value=path, expected="a file that can be read")
    if sums.require_signature and not sums.keys:
        yield Mistake(key="sums.require_signature", value="true", expected="certificates in sums.keys")
    if sums.keys and find_spec("pysequoia") is None:
        expected = "none without the package pysequoia; in the checkout: make setup EXTRAS=sign"
        yield Mistake(key="sums.keys", value=_print(sums.keys), expected=expected)
