"""The client certificate for a source that asks for one."""

import os
import ssl
from typing import TYPE_CHECKING

from fetcher.errors import InvalidRequest
from fetcher.model import ClientCertificate

if TYPE_CHECKING:  # Loaded with the first certificate: most services never see one, and a start waits for it.
    from cryptography import x509

MAX_CERTIFICATES = 16


def client_certificate(certificate_pem: str | None, key_pem: str | None) -> ClientCertificate | None:
    """Put a certificate and its key together; None where there is neither.

    Raises:
        InvalidRequest: One is missing, cannot be read, is encrypted, or is not the other's; it says nothing
            of what was given.
    """
    if certificate_pem is None and key_pem is None:
        return None
    field = "client_certificate_pem" if certificate_pem is None else "client_key_pem"
    if certificate_pem is None or key_pem is None:
        raise InvalidRequest(field=field, reason="a client certificate and its key come together")
    client = ClientCertificate(certificate_pem=certificate_pem, key_pem=key_pem)
    from cryptography.hazmat.primitives import serialization

    form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    key, first = _public_der(key_pem), _certificates(certificate_pem)[0]
    if key != first.public_key().public_bytes(*form):
        raise InvalidRequest(field="client_key_pem", reason="the key is not that of the first certificate")
    try:
        load_client(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), client)
    except (ssl.SSLError, ValueError) as error:
        reason = "no TLS connection can be made with this certificate and key"
        raise InvalidRequest(field="client_certificate_pem", reason=reason) from error
    return client


def fingerprint(client: ClientCertificate) -> str:
    """Find the sha256 of a client certificate: what is recorded of it."""
    from cryptography.hazmat.primitives import hashes

    return _certificates(client.certificate_pem)[0].fingerprint(hashes.SHA256()).hex()


def load_client(context: ssl.SSLContext, client: ClientCertificate) -> None:
    """Give a context the client's certificate and key, which OpenSSL reads from a file: one in memory alone.

    Raises:
        ssl.SSLError: They cannot be used.
    """
    text = f"{client.certificate_pem}\n{client.key_pem}\n".encode()
    descriptor = os.memfd_create("client", os.MFD_CLOEXEC)
    with os.fdopen(descriptor, "wb") as file:
        file.write(text)
        file.flush()
        context.load_cert_chain(f"/proc/self/fd/{descriptor}", password=no_password)


def no_password() -> str:
    """Give OpenSSL no password."""
    return ""  # Else OpenSSL would ask the terminal.


def _certificates(pem: str) -> "list[x509.Certificate]":
    from cryptography import x509

    if "PRIVATE KEY" in pem.upper():
        reason = "it holds a private key, which belongs into client_key_pem"
        raise InvalidRequest(field="client_certificate_pem", reason=reason)
    try:
        found = x509.load_pem_x509_certificates(pem.encode())
    except ValueError as error:
        reason = "it holds no certificates in PEM that can be read"
        raise InvalidRequest(field="client_certificate_pem", reason=reason) from error
    if len(found) > MAX_CERTIFICATES:
        reason = f"it holds more than {MAX_CERTIFICATES} certificates"
        raise InvalidRequest(field="client_certificate_pem", reason=reason)
    return found


def _public_der(pem: str) -> bytes:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    try:
        key = serialization.load_pem_private_key(pem.encode(), password=None).public_key()
        return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        reason = "it holds no private key in PEM that can be read without a password"
        raise InvalidRequest(field="client_key_pem", reason=reason) from error
