"""Findings on the way: hops, attempts, and what the bytes are."""

from datetime import datetime
from typing import Any

from fetcher.model.base import Value


class TlsPeer(Value, frozen=True, kw_only=True):
    """The identity that the other end of a TLS connection proved."""

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
        code: None while it runs, `ok`, or the code of its failure that the submitter gets.
        offset: The first byte that came; more than 0 when it resumed.
        url: Which of the sources was asked; redacted.
        connections: How many were used at most.
        truth: What really ended it (`code`, `message`), for administrators; None where `code` says it.
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
    """The format of the bytes.

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
