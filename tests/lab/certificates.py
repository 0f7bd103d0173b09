"""Certificates good and bad, made anew for each run."""

import ssl
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme

HOST = "mirror.example"


class Authorities:
    """One authority that the settings trust, and one that they do not.

    async with Origin(routes, tls=authorities.good()) as origin:
        settings = lab_settings(origin, tls=authorities.trusted(tmp_path))
        ... origin.url("/x", HOST) ...
    """

    def __init__(self) -> None:
        self._known = trustme.CA()
        self._unknown = trustme.CA()

    def trusted(self, folder: Path) -> dict[str, object]:
        """Write the known authority down; what [tls] must say to trust it."""
        file = folder / "authorities.pem"
        self._known.cert_pem.write_to_path(str(file))
        return {"ca_file": str(file)}

    def good(self, *names: str) -> ssl.SSLContext:
        """Serve with a valid certificate, for the usual host or the names given."""
        return _serve(self._known.issue_cert(*(names or (HOST,))))

    def expired(self) -> ssl.SSLContext:
        """Serve with a certificate of the year before."""
        past = datetime.now(UTC) - timedelta(days=2)
        return _serve(self._known.issue_cert(HOST, not_before=past - timedelta(days=9), not_after=past))

    def early(self) -> ssl.SSLContext:
        """Serve with a certificate that is not valid yet."""
        soon = datetime.now(UTC) + timedelta(days=2)
        return _serve(self._known.issue_cert(HOST, not_before=soon, not_after=soon + timedelta(days=9)))

    def unknown(self, name: str = HOST) -> ssl.SSLContext:
        """Serve with a certificate of an authority that nobody trusts."""
        return _serve(self._unknown.issue_cert(name))

    def old(self, version: ssl.TLSVersion) -> ssl.SSLContext:
        """Serve with an outdated version of TLS and nothing better."""
        context = self.good()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = version
            context.maximum_version = version
        context.set_ciphers("ALL:@SECLEVEL=0")
        return context


def _serve(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context
