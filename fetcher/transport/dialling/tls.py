"""Whom an https source has to convince, and who it proved to be."""

import asyncio
import binascii
import errno
import hashlib
import re
import ssl
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from fetcher.config import Settings
from fetcher.descriptors import are_short
from fetcher.errors import InvalidRequest, Shortage, TlsFailed
from fetcher.guards.request.host_names import is_named
from fetcher.model import ClientCertificate, TlsPeer
from fetcher.settings.network import ClientFiles, Tls
from fetcher.shortage import is_shortage
from fetcher.transport.dialling.client_certificate import load_client, no_password

OTHER_NAME = 62  # OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH.
_TEXT = 200
# Text between blocks is for people: bundles name their authorities there, in any script.
_BLOCK = re.compile(r"-----BEGIN ([^-\n]*)-----[^-]*-----END \1-----")
_CERTIFICATES = frozenset({"CERTIFICATE", "X509 CERTIFICATE"})


class Trust:
    """Keeps one TLS context for each set of rules; reading the authorities takes long."""

    def __init__(self) -> None:
        self._contexts: dict[tuple[str, int, bool, bool, bool, tuple[str | int, ...]], ssl.SSLContext] = {}

    async def context(
        self,
        settings: Settings,
        host: str,
        ca_pem: str | None = None,
        client: ClientCertificate | None = None,
    ) -> ssl.SSLContext:
        """Find or make the context for a host, in a thread: the machine's authorities are a large file.

        One with authorities or a key of a single import is made for each of its requests, and kept by nobody.

        Raises:
            TlsFailed: The operator's file of authorities cannot be read any more.
        """
        rules = settings.tls
        verified = not is_named(host, rules.unverified_hosts)
        files = client_files(rules, host)
        try:
            named = "_" not in host
            if ca_pem is not None or client is not None:
                make = partial(make_context, rules, verified=verified, named=named, ca_pem=ca_pem)
                return await asyncio.to_thread(lambda: _with_key(make(), client, files))
            ours = _version_of(files)
            key = (rules.ca_file, _changed_at(rules.ca_file), rules.system_cas, verified, named, ours)
            if key not in self._contexts:
                make = partial(make_context, rules, verified=verified, named=named)
                self._contexts[key] = await asyncio.to_thread(lambda: _with_key(make(), None, files))
        except OSError as error:
            if is_shortage(error):
                raise Shortage(reason="authorities of TLS") from error
            reason = "the operator's authorities or client certificate cannot be read"
            raise TlsFailed(host=host, reason=reason) from error
        return self._contexts[key]


def client_files(rules: Tls, host: str) -> ClientFiles | None:
    """Return the operator's certificate for a host; the first that names it counts."""
    return next((one for one in rules.clients if is_named(host, one.hosts)), None)


def _with_key(
    context: ssl.SSLContext, client: ClientCertificate | None, files: ClientFiles | None
) -> ssl.SSLContext:
    """Give a context who we are: the submitter's certificate before the operator's."""
    if client is not None:
        load_client(context, client)
    elif files is not None:
        context.load_cert_chain(files.certificate, files.key or None, password=no_password)
    return context


def _version_of(files: ClientFiles | None) -> tuple[str | int, ...]:
    if files is None:
        return ()
    names = (files.certificate, files.key)
    return (*names, *(_changed_at(name) for name in names))


def _changed_at(file: str) -> int:
    """Tell when a file was changed: another one under the same name is other authorities."""
    return Path(file).stat().st_mtime_ns if file else 0


def make_context(
    rules: Tls, *, verified: bool = True, named: bool = True, ca_pem: str | None = None
) -> ssl.SSLContext:
    """Make a client context: TLS 1.2 or later, HTTP/1.1 alone, names checked.

    Args:
        rules: Whom to trust.
        verified: Whether a certificate has to prove anything.
        named: Whether OpenSSL compares the name; else `check_names` has to.
        ca_pem: Further authorities.

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
    context.check_hostname = named
    if rules.system_cas:
        _load_system_authorities(context)
        if are_short():
            raise OSError(
                errno.EMFILE, "they may not have been read"
            )  # Nothing is said of that, and it would stay.
    if rules.ca_file:
        context.load_verify_locations(cafile=rules.ca_file)
    if ca_pem is not None:
        # What is trusted is what was counted and is recorded, whatever else a reader of PEM would take.
        context.load_verify_locations(cadata=b"".join(_certificates(ca_pem)))
    return context


def system_authorities() -> tuple[str, str]:
    """Return the file and the folder of the machine's authorities, as OpenSSL was built.

    What it would take from the environment instead (SSL_CERT_FILE, SSL_CERT_DIR) is not asked: whom
    sources have to convince is in the configuration, where it can be read and is checked.
    """
    paths = ssl.get_default_verify_paths()
    return paths.openssl_cafile, paths.openssl_capath


def _load_system_authorities(context: ssl.SSLContext) -> None:
    file, folder = system_authorities()
    with suppress(FileNotFoundError, ssl.SSLError):  # A machine may have one of the two, or neither.
        context.load_verify_locations(cafile=file)
    context.load_verify_locations(capath=folder)


def authority_digests(pem: str) -> list[str]:
    """Find the sha256 of each certificate of authorities that were taken."""
    return list(dict.fromkeys(hashlib.sha256(der).hexdigest() for der in _certificates(pem)))


def check_authorities(pem: str) -> None:
    """Refuse authorities of a submission that are none.

    Raises:
        InvalidRequest: There is none, one that cannot be read, something else, or a private key among them.
    """
    if "PRIVATE KEY" in pem.upper():
        raise InvalidRequest(field="ca_pem", reason="it holds a private key; send certificates alone")
    ders = _certificates(pem)
    if not ders:
        raise InvalidRequest(field="ca_pem", reason="it holds no certificates in PEM")
    for number, der in enumerate(ders, 1):
        _check_certificate(der, number)


def _certificates(pem: str) -> list[bytes]:
    """Take the certificates out of their blocks.

    Raises:
        InvalidRequest: A block is cut off, no base64, or of another kind.
    """
    blocks = list(_BLOCK.finditer(pem))
    if len(blocks) < pem.count("-----BEGIN "):
        raise InvalidRequest(field="ca_pem", reason="one of its blocks has no end of the same kind")
    ders = []
    for number, block in enumerate(blocks, 1):
        if block[1] not in _CERTIFICATES:
            raise InvalidRequest(field="ca_pem", reason=f"block {number} is no CERTIFICATE")
        text = block[0].removeprefix(f"-----BEGIN {block[1]}-----").removesuffix(f"-----END {block[1]}-----")
        try:
            ders.append(binascii.a2b_base64("".join(text.split()), strict_mode=True))
        except ValueError as error:
            raise InvalidRequest(field="ca_pem", reason=f"certificate {number} is no base64") from error
    return ders


def _check_certificate(der: bytes, number: int) -> None:
    """Refuse what is not exactly one certificate."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=der)
    except (ssl.SSLError, ValueError) as error:
        raise InvalidRequest(field="ca_pem", reason=f"certificate {number} cannot be read") from error
    # OpenSSL reads one after the other. None is shorter than 128 bytes, so its length is in the long form.
    width = der[1] & 0x7F
    if len(der) != 2 + width + int.from_bytes(der[2 : 2 + width], "big"):
        raise InvalidRequest(field="ca_pem", reason=f"certificate {number} is more than one")


def check_names(transport: asyncio.BaseTransport | None, host: str) -> None:
    """Compare the names of a verified certificate with a host whose name has an underscore.

    Buckets have such names, under a wildcard certificate. OpenSSL lets a
    wildcard stand for letters, digits and hyphens alone.

    Raises:
        ssl.SSLCertVerificationError: It is for another name.

    Source: RFC 6125 section 6.4.3.
    """
    connection = transport.get_extra_info("ssl_object") if transport else None
    facts: dict[str, Any] = (connection.getpeercert() if connection else None) or {}
    names = [value.lower() for kind, value in facts.get("subjectAltName", ()) if kind == "DNS"]
    _, _, rest = host.lower().partition(".")
    if host.lower() in names or ("." in rest and f"*.{rest}" in names):
        return
    error = ssl.SSLCertVerificationError("certificate is for another name")
    error.verify_code = OTHER_NAME
    raise error


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
