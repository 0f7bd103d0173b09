"""The file name that a source states: a name for people, never a path."""

import re
from collections.abc import Sequence
from contextlib import suppress
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from urllib.parse import unquote, unquote_to_bytes, urlsplit

MAX_CHARACTERS = 255

_PARAMETER = re.compile(
    r""";\s*(?P<key>filename\*?)\s*=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)(?:"|\Z)|(?P<plain>[^;"]*))""",
    re.IGNORECASE,
)
_EXTENDED = re.compile(r"(?P<charset>utf-8|iso-8859-1)'[^']*'(?P<value>.*)", re.IGNORECASE)
_FILE = re.compile(r"[^.]\.[A-Za-z][A-Za-z0-9]{1,7}\Z")
_MARKED = re.compile(r"'[^']+'")
_ENCODED_WORD = re.compile(r"(?:=\?[A-Za-z0-9-]{1,40}\?[BbQq]\?[^ ?]{1,900}\?= ?)+")
_ESCAPED = re.compile(r"(?=[^ ]*%[0-9A-Fa-f]{2})(?:[^ %]|%[0-9A-Fa-f]{2})+")
# What cuts a name off, hides a part of it or makes a path of it.
_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


def name_of(url: str, disposition: str | None = None) -> str | None:
    """Find what a file is called: as Content-Disposition says, else as the path of its URL ends.

    Args:
        url: The one that its bytes came from.
        disposition: The value of that field.

    Source: RFC 6266 section 4.3, RFC 8187 section 3.2.
    """
    return _stated_name(disposition or "") or _tidied(unquote(urlsplit(url).path))


def name_of_chain(urls: Sequence[str], disposition: str | None = None) -> str | None:
    """Find what a file is called that was reached by redirects.

    As Content-Disposition says; else as the last URL whose path ends like a file's name, for the
    objects that some redirect to are called by a number; else as the submitted URL's path ends.

    Args:
        urls: The submitted one first.
        disposition: The value of that field.
    """
    if stated := _stated_name(disposition or ""):
        return stated
    names = [name for name in (name_of(url) for url in urls) if name]
    return next((name for name in reversed(names) if _FILE.search(name)), names[0] if names else None)


def _stated_name(disposition: str) -> str | None:
    found: dict[str, str] = {}
    for match in _PARAMETER.finditer(f";{disposition.partition(';')[2]}"):
        quoted = match["quoted"]
        # As browsers do it: only what has to be escaped is; a path of Windows is not.
        value = match["plain"].strip() if quoted is None else re.sub(r"\\([\"\\])", r"\1", quoted)
        found.setdefault(match["key"].lower(), value)
    extended = _EXTENDED.fullmatch(found.get("filename*", ""))
    if extended is not None:
        value = unquote_to_bytes(extended["value"]).decode(extended["charset"], "replace")
        if name := _tidied(value):
            return name
    return _tidied(_meant(found.get("filename", "")))


def _meant(value: str) -> str:
    """Undo what servers do to names that are not ASCII, or in marks that are no quotation marks."""
    if _MARKED.fullmatch(value):
        value = value[1:-1]
    if _ENCODED_WORD.fullmatch(value):
        with suppress(HeaderParseError, LookupError, UnicodeError):
            return str(make_header(decode_header(value)))
    if "\udc80" <= max(value, default="") <= "\udcff":
        return value.encode("utf-8", "surrogateescape").decode("latin-1")
    return unquote(value) if _ESCAPED.fullmatch(value) else value


def _tidied(text: str) -> str | None:
    """Take the last part of what may be a path; None where nothing is left."""
    name = _UNFIT.sub("", re.split(r"[/\\]", text)[-1]).strip()[:MAX_CHARACTERS]
    return name if name.strip(".") else None
