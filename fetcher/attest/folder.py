"""The service's own key: made once, for its user alone, rotated; old public keys are kept."""

import os
import stat
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from fetcher.attest.keys import PublicKey, read_public_key
from fetcher.errors import AttestationInvalid, StoreFailed

if TYPE_CHECKING:  # Loaded with the first key: a start does not wait for it.
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

MODE = 0o600
FOLDER = "keys"
SIGNING = "signing.pem"
PUBLIC = "public.json"


class KnownKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key that has signed here.

    Args:
        pem: The public half.
        retired_at: Since when it signs no more; what it signed before stays signed.
    """

    key_id: str
    algorithm: str
    pem: str
    created_at: datetime
    retired_at: datetime | None = None

    @property
    def public(self) -> PublicKey:
        """Return the key itself."""
        return read_public_key(self.pem.encode())


@dataclass(frozen=True)
class KeyFolder:
    """The folder `keys` of a store; each call reads it anew, so that a rotation holds at once.

    `signing.pem` is the private key. It is replaced by a rename, after which the old one is nowhere any more.
    `public.json` has every key that ever signed, and is written first: it never lacks one that is in use.

    Args:
        path: Of the folder.
    """

    path: Path

    @classmethod
    def of(cls, store_folder: Path) -> "KeyFolder":
        """Return the folder of a store."""
        return cls(store_folder / FOLDER)

    def signing_key(self) -> "Ed25519PrivateKey":
        """Return the private key; it is made where there is none.

        Raises:
            StoreFailed: It cannot be read or made, or others can read it.
        """
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        file = self.path / SIGNING
        try:
            if not file.exists():
                self.rotate()
            mode = stat.S_IMODE(file.stat().st_mode)
            if mode & ~MODE:
                raise StoreFailed(reason=f"{file} is open to others: chmod 600 it, then rotate the key")
            key = load_pem_private_key(file.read_bytes(), None)
        except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise StoreFailed(reason=f"the signing key {file} cannot be read") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise StoreFailed(reason=f"the signing key {file} is not Ed25519")
        return key

    def known(self) -> list[KnownKey]:
        """Return every key that has signed here, the newest first.

        Raises:
            StoreFailed: The file that lists them is damaged.
        """
        file = self.path / PUBLIC
        try:
            found = msgspec.json.decode(file.read_bytes(), type=list[KnownKey])
            for key in found:
                if key.public.key_id != key.key_id:
                    raise StoreFailed(reason=f"{file} has a key under another's id")
        except FileNotFoundError:
            return []
        except (OSError, msgspec.DecodeError, AttestationInvalid) as error:
            raise StoreFailed(reason=f"the public keys {file} cannot be read") from error
        return sorted(found, key=lambda key: key.created_at, reverse=True)

    def rotate(self) -> KnownKey:
        """Make a new key that signs from now on.

        Raises:
            StoreFailed: It cannot be written.
        """
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

        made = Ed25519PrivateKey.generate()
        known = self.remember(PublicKey(made.public_key()))
        text = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        write_durably(self.path, SIGNING, text)
        return known

    def remember(self, key: PublicKey) -> KnownKey:
        """Add a key to those that are served, and retire the one before; one that is there stays as it is.

        Raises:
            StoreFailed: It cannot be written.
        """
        now = datetime.now(UTC)
        before = self.known()
        for one in before:
            if one.key_id == key.key_id and one.retired_at is None:
                return one
        retired = [
            msgspec.structs.replace(one, retired_at=one.retired_at or now)
            for one in before
            if one.key_id != key.key_id
        ]
        known = KnownKey(key_id=key.key_id, algorithm=key.algorithm, pem=key.pem, created_at=now)
        write_durably(self.path, PUBLIC, msgspec.json.encode([known, *retired]))
        return known


def write_durably(path: Path, name: str, text: bytes) -> None:
    """Replace a file of a folder, for its user alone; no moment has half of it.

    Raises:
        StoreFailed: It cannot be written.
    """
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        part = path / f".{name}.part"
        part.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(part, flags, MODE), "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.rename(path / name)
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise StoreFailed(reason=f"{path / name} cannot be written: {error.strerror}") from error
