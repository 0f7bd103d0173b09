"""Limits on registries: the size of their manifests, and the places that a login may go to."""

from fetcher.config import Settings
from fetcher.errors import InvalidUrl, RegistryUnusable
from fetcher.guards.base import Limit
from fetcher.guards.request.host_names import is_named
from fetcher.guards.request.url import CheckedUrl
from fetcher.guards.spec import GuardSpec


def check_registry(host: str, settings: Settings) -> str:
    """Refuse a registry where the operator has switched them off; return the scheme to ask it by.

    Raises:
        InvalidUrl: The operator has switched oci:// off.
    """
    if not settings.oci.enabled:
        raise InvalidUrl(rule="scheme", reason="oci:// is switched off here")
    return "http" if is_named(host, settings.oci.insecure_hosts) else "https"


def check_manifest(size: int, layers: int, settings: Settings) -> None:
    """Refuse a manifest that is too large, announced or received.

    Raises:
        RegistryUnusable: It has too many bytes or layers.
    """
    rules = settings.oci
    if size > rules.max_manifest_bytes:
        reason = f"a manifest is larger than {rules.max_manifest_bytes:,} bytes"
        raise RegistryUnusable(rule="manifest", reason=reason)
    if layers > rules.max_layers:
        reason = f"a manifest has more than {rules.max_layers:,} layers"
        raise RegistryUnusable(rule="manifest", reason=reason)


def check_realm(realm: CheckedUrl, registry: str, settings: Settings) -> None:
    """Refuse to send a login where a registry says that tokens are: its own host may have it, by https.

    Raises:
        RegistryUnusable: The operator allows no login there.
    """
    is_ours = realm.host == registry or is_named(realm.host, settings.oci.token_hosts)
    if realm.scheme != "https" or not is_ours:
        reason = "the registry sends the login to another host, or wants it without https"
        raise RegistryUnusable(rule="realm", reason=reason)


def limits(settings: Settings) -> tuple[Limit, ...]:
    """Publish what is enforced here."""
    rules = settings.oci
    return (
        Limit(
            name="max_manifest_bytes",
            type="integer",
            value=rules.max_manifest_bytes,
            description="How large a manifest of a registry may be.",
            guard="oci",
        ),
        Limit(
            name="max_manifest_layers",
            type="integer",
            value=rules.max_layers,
            description="How many layers a manifest of a registry may have.",
            guard="oci",
        ),
        Limit(
            name="oci_architecture",
            type="string",
            value=rules.architecture,
            description="What is taken from an index, unless the property hw_architecture says otherwise.",
            guard="oci",
        ),
        Limit(
            name="oci_token_hosts",
            type="array",
            value=list(rules.token_hosts),
            description="Where a login may go beside the registry's own host.",
            guard="oci",
        ),
    )


GUARD = GuardSpec(
    name="oci",
    title="Registries (oci://)",
    sections=("oci",),
    limits=limits,
    checks=(check_registry, check_manifest, check_realm),
)
