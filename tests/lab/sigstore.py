"""A sigstore of the lab's own: authority, certificate log, transparency log, and whoever signs with them.

lab = Sigstore()
lab.root(folder)                     # the operator's trusted_root.json
lab.bundle(digest_of=b"the image")   # what `cosign sign-blob --bundle` leaves
"""

import base64
import hashlib
import json
import struct
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Key = ec.EllipticCurvePrivateKey
SUBJECT = "https://github.com/lab/images/.github/workflows/build.yml@refs/heads/main"
ISSUER = "https://token.actions.example"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
SIGN = "https://sigstore.dev/cosign/sign/v1"
_ISSUER_OID = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.1")
_SCT_OID = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")


def b64(data: bytes) -> str:
    """As bundles have bytes."""
    return base64.b64encode(data).decode()


def der(key: Key) -> bytes:
    """The public half."""
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def key_id(key: Key) -> bytes:
    """As logs name their keys."""
    return hashlib.sha256(der(key)).digest()


def new_key() -> Key:
    """A key on P-256."""
    return ec.generate_private_key(ec.SECP256R1())


def sign(key: Key, data: bytes) -> bytes:
    """ECDSA over SHA-256."""
    return key.sign(data, ec.ECDSA(SHA256()))


def canonical(document: Any) -> bytes:
    """JSON as RFC 8785 has it, for what stands in it here."""
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


@dataclass(kw_only=True)
class Sigstore:
    """One instance; a second one is a stranger.

    Args:
        now: When everything is signed.
    """

    ca: Key = field(default_factory=new_key)
    ctlog: Key = field(default_factory=new_key)
    rekor: Key = field(default_factory=new_key)
    now: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))

    def __post_init__(self) -> None:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "lab authority")])
        self.authority = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self.ca.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.now - timedelta(days=400))
            .not_valid_after(self.now + timedelta(days=400))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(is_authority=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.ca.public_key()), critical=False)
            .sign(self.ca, SHA256())
        )

    def document(self, **more: Any) -> dict[str, Any]:
        """The trusted root; `rekor_until` retires the log's key."""
        start = f"{self.now - timedelta(days=300):%Y-%m-%dT%H:%M:%SZ}"

        def log(key: Key, until: datetime | None = None) -> dict[str, Any]:
            period = {"start": start} | ({"end": f"{until:%Y-%m-%dT%H:%M:%SZ}"} if until else {})
            return {
                "baseUrl": "https://log.lab.example",
                "hashAlgorithm": "SHA2_256",
                "publicKey": {
                    "rawBytes": b64(der(key)),
                    "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                    "validFor": period,
                },
                "logId": {"keyId": b64(key_id(key))},
            }

        return {
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [log(self.rekor, more.get("rekor_until"))],
            "certificateAuthorities": [
                {
                    "subject": {"organization": "lab", "commonName": "lab authority"},
                    "uri": "https://ca.lab.example",
                    "certChain": {
                        "certificates": [{"rawBytes": b64(self.authority.public_bytes(Encoding.DER))}]
                    },
                    "validFor": {"start": start},
                }
            ],
            "ctlogs": [log(self.ctlog)],
            "timestampAuthorities": [],
        }

    def root(self, folder: Path, name: str = "trusted_root.json", **more: Any) -> str:
        """Write the operator's file."""
        file = folder / name
        file.write_text(json.dumps(self.document(**more)))
        return str(file)

    def certificate(self, key: Key, **more: Any) -> x509.Certificate:
        """A certificate for some minutes, as it stands in the certificate log."""
        begins = more.get("begins", self.now - timedelta(minutes=2))
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(self.authority.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins)
            .not_valid_after(begins + timedelta(minutes=10))
            .add_extension(_usage(is_authority=False), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([more.get("usage", ExtendedKeyUsageOID.CODE_SIGNING)]), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.ca.public_key()), critical=False
            )
            .add_extension(
                x509.SubjectAlternativeName([x509.UniformResourceIdentifier(more.get("subject", SUBJECT))]),
                critical=True,
            )
            .add_extension(
                x509.UnrecognizedExtension(_ISSUER_OID, more.get("issuer", ISSUER).encode()), critical=False
            )
        )
        signer = more.get("ca", self.ca)
        if more.get("without_sct"):
            return builder.sign(signer, SHA256())
        precertificate = builder.sign(signer, SHA256())
        sct = self._sct(precertificate.tbs_certificate_bytes, more.get("ctlog", self.ctlog))
        entry = struct.pack("!H", len(sct)) + sct
        listed = struct.pack("!H", len(entry)) + entry
        wrapped = (
            b"\x04" + (bytes([len(listed)]) if len(listed) < 128 else b"\x81" + bytes([len(listed)])) + listed
        )
        return builder.add_extension(x509.UnrecognizedExtension(_SCT_OID, wrapped), critical=False).sign(
            signer, SHA256()
        )

    def _sct(self, tbs: bytes, ctlog: Key) -> bytes:
        at = int(self.now.timestamp() * 1000)
        size = struct.pack("!I", len(tbs))[1:]
        data = struct.pack("!BBQH", 0, 0, at, 1) + key_id(self.ca) + size + tbs + struct.pack("!H", 0)
        made = sign(ctlog, data)
        head = b"\0" + key_id(ctlog) + struct.pack("!QHBBH", at, 0, 4, 3, len(made))
        return head + made

    def entry(self, body: dict[str, Any], **more: Any) -> dict[str, Any]:
        """An entry of the transparency log, the second of two, with proof, checkpoint and promise."""
        rekor = more.get("rekor", self.rekor)
        text = canonical(body)
        first = hashlib.sha256(b"\0the first entry").digest()
        root = hashlib.sha256(b"\x01" + first + hashlib.sha256(b"\0" + text).digest()).digest()
        note = f"log.lab.example\n2\n{b64(root)}\n"
        mark = b64(key_id(rekor)[:4] + sign(rekor, note.encode()))
        at = int(more.get("at", self.now).timestamp())
        promised = {
            "body": b64(text),
            "integratedTime": at,
            "logID": key_id(rekor).hex(),
            "logIndex": 1,
        }
        entry: dict[str, Any] = {
            "logIndex": "1",
            "logId": {"keyId": b64(key_id(rekor))},
            "kindVersion": {"kind": body["kind"], "version": body["apiVersion"]},
            "integratedTime": str(at),
            "inclusionPromise": {"signedEntryTimestamp": b64(sign(rekor, canonical(promised)))},
            "inclusionProof": {
                "logIndex": "1",
                "rootHash": b64(root),
                "treeSize": "2",
                "hashes": [b64(first)],
                "checkpoint": {"envelope": f"{note}\n\u2014 log.lab.example {mark}\n"},
            },
            "canonicalizedBody": b64(text),
        }
        return entry

    def bundle(self, digest_of: bytes, **more: Any) -> dict[str, Any]:
        """What `cosign sign-blob --bundle` leaves of these bytes."""
        key = new_key()
        certificate = self.certificate(key, **more)
        digest = hashlib.sha256(digest_of).digest()
        made = sign(key, digest_of)
        body = {
            "apiVersion": "0.0.1",
            "kind": "hashedrekord",
            "spec": {
                "data": {"hash": {"algorithm": "sha256", "value": digest.hex()}},
                "signature": {"content": b64(made), "publicKey": {"content": _pem(certificate)}},
            },
        }
        return {
            "mediaType": BUNDLE,
            "verificationMaterial": self._material(certificate, self.entry(body, **more)),
            "messageSignature": {
                "messageDigest": {"algorithm": "SHA2_256", "digest": b64(digest)},
                "signature": b64(made),
            },
        }

    def statement(self, subjects: dict[str, str], predicate: str = SIGN, **more: Any) -> dict[str, Any]:
        """What `cosign sign` leaves of an image in a registry.

        Args:
            subjects: SHA-256 digests by their names.
        """
        key = new_key()
        certificate = self.certificate(key, **more)
        payload = canonical(
            {
                "_type": "https://in-toto.io/Statement/v1",
                "predicateType": predicate,
                "subject": [{"name": name, "digest": {"sha256": one}} for name, one in subjects.items()],
                "predicate": {},
            }
        )
        kind = "application/vnd.in-toto+json"
        made = sign(key, b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload))
        envelope = {"payload": b64(payload), "payloadType": kind, "signatures": [{"sig": b64(made)}]}
        body = {
            "apiVersion": "0.0.1",
            "kind": "dsse",
            "spec": {
                "envelopeHash": {
                    "algorithm": "sha256",
                    "value": hashlib.sha256(canonical(envelope)).hexdigest(),
                },
                "payloadHash": {"algorithm": "sha256", "value": hashlib.sha256(payload).hexdigest()},
                "signatures": [{"signature": b64(made), "verifier": _pem(certificate)}],
            },
        }
        return {
            "mediaType": BUNDLE,
            "verificationMaterial": self._material(certificate, self.entry(body, **more)),
            "dsseEnvelope": envelope,
        }

    def annotations(self, payload: bytes, **more: Any) -> dict[str, str]:
        """The annotations that cosign before version 3 keeps beside a signed payload in a registry.

        Args:
            more: As for a certificate and an entry; `logged` is another payload that the log has.
        """
        key = new_key()
        certificate, made = self.certificate(key, **more), sign(key, payload)
        digest = hashlib.sha256(more.get("logged", payload)).hexdigest()
        body = {
            "apiVersion": "0.0.1",
            "kind": "hashedrekord",
            "spec": {
                "data": {"hash": {"algorithm": "sha256", "value": digest}},
                "signature": {"content": b64(made), "publicKey": {"content": _pem(certificate)}},
            },
        }
        rekor, at = more.get("rekor", self.rekor), int(more.get("at", self.now).timestamp())
        promised = {
            "body": b64(canonical(body)),
            "integratedTime": at,
            "logID": key_id(rekor).hex(),
            "logIndex": 1,
        }
        promise = {"SignedEntryTimestamp": b64(sign(rekor, canonical(promised))), "Payload": promised}
        chain = self.authority.public_bytes(Encoding.PEM).decode()
        return {
            "dev.cosignproject.cosign/signature": b64(made),
            "dev.sigstore.cosign/bundle": json.dumps(promise),
            "dev.sigstore.cosign/certificate": certificate.public_bytes(Encoding.PEM).decode(),
            "dev.sigstore.cosign/chain": chain,
        }

    @staticmethod
    def _material(certificate: x509.Certificate, entry: dict[str, Any]) -> dict[str, Any]:
        return {
            "certificate": {"rawBytes": b64(certificate.public_bytes(Encoding.DER))},
            "tlogEntries": [entry],
            "timestampVerificationData": {"rfc3161Timestamps": []},
        }


def _pem(certificate: x509.Certificate) -> str:
    return b64(certificate.public_bytes(Encoding.PEM))


def _usage(*, is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        encipher_only=False,
        decipher_only=False,
    )
