"""Envelopes: bytes, their type, and who signed both (DSSE 1.0.2, in which in-toto statements travel)."""

import base64
import binascii
from collections.abc import Awaitable, Callable, Iterable
from typing import Annotated

import msgspec
from msgspec import Meta

from fetcher.attest.keys import PublicKey
from fetcher.errors import AttestationInvalid

MEDIA_TYPE = "application/vnd.dsse.envelope.v1+json"
MAX_ENVELOPE_BYTES = 4_194_304
MAX_SIGNATURES = 16


class Signature(msgspec.Struct, frozen=True):
    """One signature of an envelope; its key id is a hint and proves nothing."""

    sig: Annotated[str, Meta(max_length=8192)]
    keyid: Annotated[str, Meta(max_length=1024)] = ""


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """A signed payload.

    Args:
        payload: Base64.
        payloadType: What the payload is.
    """

    payload: str
    payloadType: str  # noqa: N815 - the specification's name
    signatures: Annotated[list[Signature], Meta(min_length=1, max_length=MAX_SIGNATURES)]

    def open(self, keys: Iterable[PublicKey]) -> tuple[bytes, PublicKey]:
        """Return the payload, and the first of the keys that vouches for it.

        Raises:
            AttestationInvalid: None of them does, or it is no envelope.
        """
        payload = decoded(self.payload)
        signed = pae(self.payloadType, payload)
        trusted = list(keys)
        for one in self.signatures:
            signature = decoded(one.sig)
            for key in trusted:
                if key.verifies(signature, signed):
                    return payload, key
        raise AttestationInvalid(reason="no signature on it is by one of the keys that were given")


def pae(payload_type: str, payload: bytes) -> bytes:
    """Return the bytes that are signed.

    Source: https://github.com/secure-systems-lab/dsse/blob/v1.0.2/protocol.md, "Signature Definition".
    """
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


async def seal(
    payload_type: str, payload: bytes, key_id: str, sign: Callable[[bytes], Awaitable[bytes]]
) -> Envelope:
    """Sign a payload.

    Raises:
        AttestationUnavailable: It cannot be signed now.
    """
    signature = await sign(pae(payload_type, payload))
    return Envelope(
        payload=base64.b64encode(payload).decode(),
        payloadType=payload_type,
        signatures=[Signature(sig=base64.b64encode(signature).decode(), keyid=key_id)],
    )


def read_envelope(text: bytes) -> Envelope:
    """Read a foreign envelope.

    Raises:
        AttestationInvalid: It is none, or is larger than any of ours.
    """
    if len(text) > MAX_ENVELOPE_BYTES:
        raise AttestationInvalid(reason=f"it is larger than {MAX_ENVELOPE_BYTES:,} bytes")
    try:
        return msgspec.json.decode(text, type=Envelope)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise AttestationInvalid(reason="it is no DSSE envelope in JSON") from error


def decoded(text: str) -> bytes:
    """Decode base64 in its usual or its URL-safe form, both of which readers must accept.

    Raises:
        AttestationInvalid: It is neither.
    """
    try:
        plain = text.replace("-", "+").replace("_", "/")
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise AttestationInvalid(reason="its payload or a signature is not base64") from error
