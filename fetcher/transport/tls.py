"""Whom an https source has to convince, and who it proved to be."""

import asyncio
import errno
import hashlib
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fetcher.config import Settings, Tls
from fetcher.descriptors import are_short
from fetcher.errors import Shortage, TlsFailed
from fetcher.model import TlsPeer
from fetcher.shortage import is_shortage

_TEXT = 200


class Trust:
    """Keeps one TLS context for each set of rules; reading the authorities takes long."""

    def __init__(self) -> None:
        self._contexts: dict[tuple[str, int, bool, bool], ssl.SSLContext] = {}

    async def context(self, settings: Settings, host: str) -> ssl.SSLContext:
        """Find or make the context for a host, in a thread: the machine's authorities are a large file.

        Raises:
            TlsFailed: The operator's file of authorities cannot be read any more.
        """
        rules = settings.tls
        verified = host not in {name.lower().removesuffix(".") for name in rules.unverified_hosts}
        try:
            key = (rules.ca_file, _changed_at(rules.ca_file), rules.system_cas, verified)
            if key not in self._contexts:
                self._contexts[key] = await asyncio.to_thread(make_context, rules, verified=verified)
        except OSError as error:
            if is_shortage(error):
                raise Shortage(reason="authorities of TLS") from error
            raise TlsFailed(host=host, reason="the operator's authorities cannot be read") from error
        return self._contexts[key]


def _changed_at(file: str) -> int:
    """Tell when a file was changed: another one under the same name is other authorities."""
    return Path(file).stat().st_mtime_ns if file else 0


def make_context(rules: Tls, *, verified: bool = True) -> ssl.SSLContext:
    """Make a client context: TLS 1.2 or later, HTTP/1.1 alone, names checked.

    Raises:
        OSError: The operator's file of authorities cannot be read or holds none.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    # A source that asks for one handshake after the other would have us compute for as long as it likes.
    context.options |= ssl.OP_NO_RENEGOTIATION
    if not verified:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    if rules.system_cas:
        context.load_default_certs()
        if are_short():
            raise OSError(
                errno.EMFILE, "they may not have been read"
            )  # Nothing is said of that, and it would stay.
    if rules.ca_file:
        context.load_verify_locations(cafile=rules.ca_file)
    return context


def read_peer(connection: ssl.SSLObject | None) -> TlsPeer | None:
    """Record who the other end proved to be; None without TLS."""
    der = connection.getpeercert(binary_form=True) if connection else None
    if connection is None or der is None:
        return None
    facts: dict[str, Any] = connection.getpeercert() or {}
    ends = facts.get("notAfter")
    not_after = datetime.fromtimestamp(ssl.cert_time_to_seconds(ends), UTC).isoformat() if ends else ""
    return TlsPeer(
        version=connection.version() or "",
        subject=_print_name(facts.get("subject", ())),
        issuer=_print_name(facts.get("issuer", ())),
        not_after=not_after,
        sha256=hashlib.sha256(der).hexdigest(),
    )


def _print_name(name: tuple[tuple[tuple[str, str], ...], ...]) -> str:
    """Print a distinguished name; whoever asked for the certificate chose the text."""
    text = ", ".join(f"{key}={value}" for part in name for key, value in part)
    return "".join(letter if letter.isprintable() else "?" for letter in text)[:_TEXT]
