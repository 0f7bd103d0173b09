"""The checksum file beside an image: looked for in the same folder, offered, never assumed."""

import asyncio
import re
from collections.abc import Iterator
from urllib.parse import quote, unquote, urljoin, urlsplit, urlunsplit

import msgspec

from fetcher.config import Settings
from fetcher.errors import Failure
from fetcher.guards.request.redaction import redact_url
from fetcher.importer.stages.expected_digests import ChecksumFile
from fetcher.model import Digest, Value
from fetcher.transport import Gate, Peek, SourceRequest, SumsRequest, fetch_small

MAX_REQUESTS = 14  # Of one look, so that it is no burden on anybody's server.
SECONDS = 20.0

# Beside the image, best first: files about it alone, then those about the folder.
OWN = (".sha256", ".sha512", ".sha256sum", ".sha512sum", ".CHECKSUM", "-CHECKSUM", ".DIGESTS")
SHARED = ("SHA256SUMS", "SHA512SUMS", "CHECKSUM", "sha256sums.txt", "CHECKSUM.SHA512", "CHECKSUM.SHA256")
_LINK = re.compile(r"""<a\s[^>]{0,500}?href\s*=\s*["']?([^"'\s>]{1,500})""", re.IGNORECASE)
_FILE = re.compile(
    r"(?:sha(?:256|384|512)-?sums?(?:\.txt)?|checksums?(?:\.(?:txt|sha256|sha512))?|.*[.-]checksum|.*\.digests?"
    r"|.*\.sha(?:256|384|512)(?:sums?)?(?:\.txt)?)\Z",
    re.IGNORECASE,
)


class Beside(Value, frozen=True, kw_only=True):
    """A checksum file that lists the image.

    Args:
        url: To be given as checksum_url; redacted.
        digest: What it says of the image.
    """

    url: str
    name: str
    digest: Digest


async def find_beside(gate: Gate, image: SourceRequest, found: Peek, settings: Settings) -> Beside | None:
    """Look for a checksum file in the folder of the submitted URL; None where none lists the image.

    A URL with a query is a door of its own: nothing lies beside it.

    Args:
        image: The request for the image; its neighbours are asked for in the same way.

    Raises:
        TimeoutError: The folder answers too slowly.
    """
    parts = urlsplit(image.text)
    if parts.query or not parts.path.rpartition("/")[2]:
        return None
    folder = urlunsplit((parts.scheme, parts.netloc, parts.path.rpartition("/")[0] + "/", "", ""))

    def ask(url: str) -> SourceRequest:
        return msgspec.structs.replace(image, url=url)

    async with asyncio.timeout(SECONDS):
        linked = await _linked(gate, ask(folder), settings)
        own = parts.path.rpartition("/")[2]
        names = _ordered(linked, unquote(own)) if linked else [*(own + end for end in OWN), *SHARED]
        for name in names[: MAX_REQUESTS - 1]:
            request = SumsRequest(
                file=ask(urljoin(folder, name)), name=unquote(own), path=unquote(parts.path)
            )
            digest = await _digest(gate, request, found, settings)
            if digest is not None:
                url = redact_url(request.file.text)
                return Beside(url=url, name=unquote(name), digest=digest)
    return None


async def _digest(gate: Gate, request: SumsRequest, found: Peek, settings: Settings) -> Digest | None:
    once = msgspec.structs.replace(settings, retry=msgspec.structs.replace(settings.retry, attempts=1))
    try:
        file = await ChecksumFile.fetch(gate, request, once)
        return file.settle(found.hops, found.headers.get("content-disposition")).digest
    except Failure:
        return None


async def _linked(gate: Gate, request: SourceRequest, settings: Settings) -> list[str]:
    """Names of checksum files that the folder's own page links to."""
    try:
        page = await fetch_small(gate, request, settings, lambda _hop: None)
    except Failure:
        return []
    return list(dict.fromkeys(_names(page.decode("utf-8", "replace"), request.text)))


def _names(page: str, folder: str) -> Iterator[str]:
    for match in _LINK.finditer(page):
        try:
            url = urljoin(folder, match[1])
        except ValueError:
            continue
        name = url.removeprefix(folder)
        if url.startswith(folder) and not re.search(r"[/?#]", name) and _FILE.match(unquote(name)):
            yield quote(unquote(name))


def _ordered(names: list[str], image: str) -> list[str]:
    """Files about the image first, then those about all, then those about others."""
    shared = {name.lower() for name in SHARED}

    def rank(name: str) -> int:
        plain = unquote(name)
        if plain.startswith(image):
            return 0
        return 1 if plain.lower() in shared or plain.upper().endswith("-CHECKSUM") else 2

    return sorted(names, key=rank)
