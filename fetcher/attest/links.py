"""Links that let whoever has them fetch one image for a time: signed with a key of the service, none kept."""

import hashlib
import hmac
import secrets
import stat
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from fetcher.attest.folder import MODE, write_durably
from fetcher.errors import StoreFailed

FILE = "links.json"
KEY_BYTES = 32
ID_BYTES = 6


class Linked(msgspec.Struct, frozen=True, kw_only=True):
    """The claims of a link: with other bytes, another owner or another time it is not that link.

    Args:
        sha256: Of the bytes.
        project_id: Whose image it is.
        expires: Seconds since 1970.
    """

    image_id: str
    sha256: str
    project_id: str
    expires: int


class LinkKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key that signs links, or did."""

    key_id: str
    key: bytes
    created_at: datetime

    def signature(self, linked: Linked) -> str:
        """Sign what a link is for.

        Source: RFC 2104; the fields are JSON, so that no two ways of cutting them are the same text.
        """
        text = b"fetcher-link-1\n" + msgspec.json.encode(linked)
        return hmac.new(self.key, text, hashlib.sha256).hexdigest()

    def is_signature(self, signature: str, linked: Linked) -> bool:
        """Compare in the same time, whatever differs."""
        return hmac.compare_digest(signature.encode("utf-8", "replace"), self.signature(linked).encode())


@dataclass(frozen=True)
class LinkKeys:
    """The keys of links, in the folder `keys` of a store; each call reads them anew: a revocation holds.

    A key signs for as long as a link may live, and is kept for as long again: then no link of it is good.

    Args:
        path: Of the folder.
    """

    path: Path
    _turn: threading.Lock = field(default_factory=threading.Lock, compare=False)

    def current(self, max_seconds: float) -> LinkKey:
        """Return the key that signs now; a new one is made when it is time.

        Raises:
            StoreFailed: The keys cannot be read or written, or others can read them.
        """
        with self._turn:
            now, known = datetime.now(UTC), self.known()
            age = timedelta(seconds=max_seconds)
            if known and now - known[0].created_at < age:
                return known[0]
            kept = [key for key in known if now - key.created_at < 2 * age]
            return self._write([_new_key(now), *kept])

    def find(self, key_id: str) -> LinkKey | None:
        """Return a key by its id; None where it was revoked, or is too old."""
        return next((key for key in self.known() if key.key_id == key_id), None)

    def revoke(self) -> LinkKey:
        """Make a new key and forget all others: no link of before is good any more.

        Raises:
            StoreFailed: It cannot be written.
        """
        with self._turn:
            return self._write([_new_key(datetime.now(UTC))])

    def known(self) -> list[LinkKey]:
        """Return all keys, the newest first.

        Raises:
            StoreFailed: They cannot be read, or others can read them.
        """
        file = self.path / FILE
        try:
            if stat.S_IMODE(file.stat().st_mode) & ~MODE:
                raise StoreFailed(reason=f"{file} is open to others: chmod 600 it, then revoke all links")
            found = msgspec.json.decode(file.read_bytes(), type=list[LinkKey])
        except FileNotFoundError:
            return []
        except (OSError, msgspec.DecodeError) as error:
            raise StoreFailed(reason=f"the keys of links {file} cannot be read") from error
        return sorted(found, key=lambda key: key.created_at, reverse=True)

    def _write(self, keys: list[LinkKey]) -> LinkKey:
        write_durably(self.path, FILE, msgspec.json.encode(keys))
        return keys[0]


def _new_key(now: datetime) -> LinkKey:
    return LinkKey(key_id=secrets.token_hex(ID_BYTES), key=secrets.token_bytes(KEY_BYTES), created_at=now)
