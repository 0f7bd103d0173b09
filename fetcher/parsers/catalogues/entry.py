"""One image of a catalogue, whichever kind of catalogue it stands in."""

import re
from collections.abc import Callable, Iterable
from datetime import date, datetime
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec

from fetcher.errors import CatalogueUnusable
from fetcher.model import Digest, Value

Moment = datetime

MAX_TEXT = 255
MAX_URL = 2048
MAX_PROPERTIES = 64
HEX_LENGTHS = {"sha512": 128, "sha384": 96, "sha256": 64, "sha1": 40, "md5": 32}

_ARCHES = {
    "amd64": "x86_64",
    "x64": "x86_64",
    "x86-64": "x86_64",
    "arm64": "aarch64",
    "armhf": "armv7l",
    "armv7": "armv7l",
    "i386": "i686",
    "x86": "i686",
    "ppc64el": "ppc64le",
    "risc-v": "riscv64",
}
_PLAIN = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]*")
_DAY = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})")


class Entry(Value, frozen=True, kw_only=True):
    """One version of an image for one architecture.

    Args:
        name: As it is asked for: `ubuntu:26.04`.
        names: All names that it answers to, in lower case; its own among them.
        serial: Of this version; text order is not always its order.
        arch: As the Image API names it: x86_64, aarch64 ...
        url: Where its bytes are.
        mirrors: Where they are, too.
        digest: That the catalogue promises; None where it has none.
        checksum_url: Of a file that lists the digest, where the catalogue has none itself.
        released: The day of this version, where it is stated.
        end_of_life: The last day on which its publisher looks after it.
        login: The user that one logs in as.
        properties: For the image.
    """

    name: str
    names: frozenset[str]
    title: str
    family: str
    version: str
    serial: str
    arch: str
    url: str
    mirrors: tuple[str, ...] = ()
    digest: Digest | None = None
    checksum_url: str | None = None
    size: int | None = None
    disk_format: str | None = None
    released: date | None = None
    end_of_life: date | None = None
    login: str | None = None
    min_disk: int = 0
    min_ram: int = 0
    properties: dict[str, str] = msgspec.field(default_factory=dict)

    @property
    def reference(self) -> str:
        """Return the name that asks for exactly this one."""
        return f"{self.name}@{self.serial}/{self.arch}"

    @property
    def order(self) -> tuple[Any, ...]:
        """Return what sorts versions of one image from old to new."""
        return (self.released or date.min, natural(self.serial))


class Reading(Value, frozen=True, kw_only=True):
    """A file of a catalogue.

    Args:
        left_out: How many images were left out, because what is said of them is not sound.
        updated: When the file was written, where it is stated.
    """

    entries: list[Entry]
    left_out: int = 0
    updated: Moment | None = None


def gather(makers: Iterable[Callable[[], Entry | None]], max_entries: int) -> tuple[list[Entry], int]:
    """Make entries, and leave out those that break a rule: one bad image takes no other with it.

    Raises:
        CatalogueUnusable: There are more than may be.
    """
    found: list[Entry] = []
    left_out = 0
    for number, make in enumerate(makers):
        if number >= max_entries:
            raise CatalogueUnusable(reason=f"it has more than {max_entries:,} images")
        try:
            entry = make()
        except CatalogueUnusable:
            left_out += 1
        else:
            found += [entry] if entry is not None else []
    return found, left_out


def natural(text: str) -> tuple[tuple[int, int, str], ...]:
    """Return what sorts text with numbers in it as people do: 9.10 is after 9.9."""
    parts = re.findall(r"\d{1,18}|[^\d]+", text)
    return tuple((1, int(part), "") if part.isdecimal() else (0, 0, part.lower()) for part in parts)


def normal_arch(text: str) -> str:
    """Return an architecture as the Image API names it."""
    low = text.strip().lower()
    return _ARCHES.get(low, low)


def plain_text(value: object, what: str, most: int = MAX_TEXT) -> str:
    """Return a text that fits on one line.

    Raises:
        CatalogueUnusable: It is none, is too long or has control characters.
    """
    if not isinstance(value, str) or len(value) > most or not _PLAIN.fullmatch(value):
        raise CatalogueUnusable(reason=f"{what} is no text of at most {most:,} characters on one line")
    return value.strip()


def day_of(value: object) -> date | None:
    """Return the day at the beginning of a text such as 2026-04-23 or 20260423.1, if any."""
    found = _DAY.match(value) if isinstance(value, str) else None
    try:
        return date(*map(int, found.groups())) if found else None
    except ValueError:
        return None


def digest_of(algorithm: str, value: object) -> Digest | None:
    """Return a digest, or None for what is none; what its algorithm is worth is judged later."""
    algorithm = algorithm.strip().lower().replace("-", "")
    if not isinstance(value, str) or algorithm not in HEX_LENGTHS:
        return None
    text = value.strip().lower()
    if len(text) != HEX_LENGTHS[algorithm] or re.fullmatch(r"[0-9a-f]+", text) is None:
        return None
    return Digest(algorithm=algorithm, value=text)


def whole_url(value: object, what: str) -> str:
    """Return an absolute http or https URL without user, fragment or characters that need a parser's guess.

    Raises:
        CatalogueUnusable: It is none.
    """
    text = plain_text(value, what, MAX_URL)
    try:
        parts = urlsplit(text)
        is_good = parts.scheme in {"http", "https"} and bool(parts.hostname) and not parts.fragment
    except ValueError:
        is_good = False
    if not is_good or "@" in text or "\\" in text or re.fullmatch(r"[!-~]+", text) is None:
        raise CatalogueUnusable(reason=f"{what} is no http or https URL")
    return text


def below(base: str, value: object, what: str) -> str:
    """Return the URL of a path below a base URL: never beside it, above it, or at another host.

    Raises:
        CatalogueUnusable: The path is absolute, climbs, or is no path.
    """
    text = plain_text(value, what, MAX_URL)
    parts = text.split("/")
    is_bad = not text or any(part in {"", ".", ".."} for part in parts) or "\\" in text
    # A first part with a colon would be a scheme to some; `%` could hide any of the above.
    if is_bad or "%" in text or "?" in text or "#" in text or ":" in parts[0]:
        raise CatalogueUnusable(reason=f"{what} is no plain path below the catalogue: {text[:80]!a}")
    return f"{base.rstrip('/')}/{quote(text, safe='/:@!$&+,;=()~-._')}"


def slug(text: str) -> str:
    """Return a text as a part of a name: lower case, with hyphens between words."""
    return re.sub(r"[^a-z0-9._+]+", "-", text.lower()).strip("-")


def convert(value: object, kind: Any, what: str) -> Any:
    """Check the shape of a part of a catalogue.

    Raises:
        CatalogueUnusable: It is another.
    """
    try:
        return msgspec.convert(value, kind, strict=False)
    except (msgspec.ValidationError, RecursionError, ValueError) as error:
        raise CatalogueUnusable(reason=f"{what} has another shape than it should") from error
