"""Links that let their holder fetch one image for a time: signed with a key of the service, none kept."""

import asyncio
import hashlib
import hmac
import secrets
import stat
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

import msgspec

from fetcher.attest.folder import MODE, write_durably
from fetcher.errors import StoreFailed

FILE = "links.json"
KEY_BYTES = 32
ID_BYTES = 6
MAX_TRIES = 10
UNREADABLE = "the keys of links cannot be read; `fetcher keys revoke-links` makes new ones"


class Linked(msgspec.Struct, frozen=True, kw_only=True):
    """The claims of a link: with other bytes, another owner or another time it is not that link.

    Args:
        address: Of the bytes; signed by its name of old, so that links stay good.
        project_id: Whose image it is.
        expires: Seconds since 1970.
    """

    image_id: str
    address: str = msgspec.field(name="sha256")
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


class KeyStorage(Protocol):
    """The place of the keys, all of them one document."""

    async def read(self) -> bytes | None:
        """Return it; None where there is none yet. Raises StoreFailed where it cannot be read."""

    async def replace(self, known: bytes | None, value: bytes) -> bytes:
        """Put one in place of the one that is known; return the one that counts. Raises StoreFailed."""


@dataclass(frozen=True)
class FolderKeyStorage:
    """The folder `keys` of a host that is alone.

    Args:
        path: Of the folder.
    """

    path: Path

    async def read(self) -> bytes | None:
        """Read the file; raises StoreFailed where others can read it, too."""
        return await asyncio.to_thread(self._read)

    async def replace(self, known: bytes | None, value: bytes) -> bytes:
        """Write the file: nobody else does."""
        del known
        await asyncio.to_thread(write_durably, self.path, FILE, value)
        return value

    def _read(self) -> bytes | None:
        file = self.path / FILE
        try:
            if stat.S_IMODE(file.stat().st_mode) & ~MODE:
                raise StoreFailed(reason=f"{file} is open to others: chmod 600 it, then revoke all links")
            return file.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreFailed(reason=UNREADABLE) from error


@dataclass(frozen=True)
class LinkKeys:
    """The keys of links; each call reads them anew: a revocation holds.

    A key signs for as long as a link may live, and is kept for as long again: then no link of it is good.

    Args:
        storage: Where they are.
    """

    storage: KeyStorage
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock, compare=False)

    async def current(self, max_seconds: float) -> LinkKey:
        """Return the key that signs now; a new one is made when it is time.

        Raises:
            StoreFailed: The keys cannot be read or written, or others can read them.
        """
        async with self._turn:
            now, (read, known) = datetime.now(UTC), await self._known()
            age = timedelta(seconds=max_seconds)
            if known and now - known[0].created_at < age:
                return known[0]
            kept = [key for key in known if now - key.created_at < 2 * age]
            return await self._replace(read, [_new_key(now), *kept])

    async def find(self, key_id: str) -> LinkKey | None:
        """Return a key by its id; None where it was revoked, or is too old."""
        return next((key for key in await self.known() if key.key_id == key_id), None)

    async def revoke(self) -> LinkKey:
        """Make a new key and forget all others: no link of before is good any more.

        Raises:
            StoreFailed: It cannot be written.
        """
        made = _new_key(datetime.now(UTC))
        async with self._turn:
            for _ in range(MAX_TRIES):  # Another host may make one at the same time.
                counts = await self._replace(await self.storage.read(), [made])
                if counts == made:
                    return made
        raise StoreFailed(reason="other hosts make keys of links again and again; try again")

    async def known(self) -> list[LinkKey]:
        """Return all keys, the newest first.

        Raises:
            StoreFailed: They cannot be read, or others can read them.
        """
        return (await self._known())[1]

    async def _known(self) -> tuple[bytes | None, list[LinkKey]]:
        read = await self.storage.read()
        return read, [] if read is None else _keys_in(read)

    async def _replace(self, known: bytes | None, keys: list[LinkKey]) -> LinkKey:
        return _keys_in(await self.storage.replace(known, msgspec.json.encode(keys)))[0]


def _keys_in(document: bytes) -> list[LinkKey]:
    try:
        found = msgspec.json.decode(document, type=list[LinkKey])
    except msgspec.DecodeError as error:
        raise StoreFailed(reason=UNREADABLE) from error
    return sorted(found, key=lambda key: key.created_at, reverse=True)


def _new_key(now: datetime) -> LinkKey:
    return LinkKey(key_id=secrets.token_hex(ID_BYTES), key=secrets.token_bytes(KEY_BYTES), created_at=now)
