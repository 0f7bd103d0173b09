"""The way out: names, trust and proxies."""

from collections.abc import Iterator
from ipaddress import ip_network
from typing import Annotated

from msgspec import Meta

from fetcher.settings.base import Address, HostOrAddress, Mistake, Positive, Section, Unproxied, unreadable


class Dns(Section, frozen=True, kw_only=True):
    """The resolution of names."""

    servers: list[Address]
    max_lookups: Annotated[int, Meta(ge=1, le=4096)]
    max_lookups_per_project: Positive
    max_answers: Annotated[int, Meta(ge=1, le=256)]


class ClientFiles(Section, frozen=True, kw_only=True):
    """The credentials for some hosts, whoever's import asks them.

    Args:
        hosts: That are shown the certificate where they ask for one; nobody else is.
        certificate: A file (PEM) with the certificate, and those that lead to its authority.
        key: A file (PEM) with its private key, not encrypted; by default that of the certificate.
    """

    hosts: Annotated[list[HostOrAddress], Meta(min_length=1)]
    certificate: str
    key: str = ""


class Tls(Section, frozen=True, kw_only=True):
    """The trust in https sources."""

    ca_file: str
    system_cas: bool
    max_ca_pem_bytes: Annotated[int, Meta(ge=0, le=262_144)]
    client_certificates: bool
    clients: list[ClientFiles]
    unverified_hosts: list[HostOrAddress]

    def mistakes(self) -> Iterator[Mistake]:
        """Find what would leave nobody trusted, before the first import does."""
        if not self.ca_file and not self.system_cas:
            yield Mistake(key="tls.system_cas", value="false", expected="true, or authorities in tls.ca_file")
        if self.ca_file:
            yield from unreadable("tls.ca_file", [self.ca_file])
        for one in self.clients:
            yield from unreadable("tls.clients", [one.certificate, *([one.key] if one.key else [])])


class Egress(Section, frozen=True, kw_only=True):
    """The way out."""

    proxy: Annotated[str, Meta(pattern=r"^(http://[^/@\s]+:\d{1,5})?$", description="http://host:port")]
    no_proxy: list[Unproxied]

    def mistakes(self) -> Iterator[Mistake]:
        """Find networks that are none."""
        for value in self.no_proxy:
            if "/" in value or ":" in value:
                try:
                    ip_network(value, strict=False)
                except ValueError:
                    yield Mistake(
                        key="egress.no_proxy", value=value, expected="a network such as 10.1.0.0/16"
                    )
