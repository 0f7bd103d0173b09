"""Statements that are signed at once, to be written together with what they are about."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fetcher.attest.dsse import Envelope, Signature, pae
from fetcher.attest.folder import SIGNING, KeyFolder
from fetcher.attest.keys import PublicKey
from fetcher.attest.statement import PAYLOAD_TYPE, statement


class PromptSigner:
    """Signs with the store's own key, where there is one already; reads its file again once that is another.

    Args:
        folder: Of the keys.
    """

    def __init__(self, folder: KeyFolder) -> None:
        self._folder = folder
        self._file = Path(folder.path / SIGNING)
        self._read: tuple[tuple[int, int, int], Ed25519PrivateKey, str] | None = None

    def sign(self, image_id: str, story: Mapping[str, Any], builder_id: str) -> tuple[str, str] | None:
        """Return the key's id and the envelope as JSON; None where there is no key yet. Blocks.

        Args:
            story: The image's provenance, in JSON's terms.

        Raises:
            StoreFailed: The key cannot be read, or others can read it.
        """
        try:
            found = self._file.stat()
        except OSError:
            return None
        version = (found.st_ino, found.st_mtime_ns, found.st_mode)
        if self._read is None or self._read[0] != version:
            private = self._folder.signing_key()
            public = PublicKey(private.public_key())
            self._folder.remember(public)  # Also one that an operator put there.
            self._read = (version, private, public.key_id)
        _version, key, key_id = self._read
        payload = statement(image_id, story, builder_id)
        signature = base64.b64encode(key.sign(pae(PAYLOAD_TYPE, payload))).decode()
        envelope = Envelope(
            payload=base64.b64encode(payload).decode(),
            payloadType=PAYLOAD_TYPE,
            signatures=[Signature(sig=signature, keyid=key_id)],
        )
        return key_id, msgspec.json.encode(envelope).decode()
