"""Redirects that may be followed: one Location, resolved against the page it came from, judged afresh."""

import re
from collections.abc import Sequence

from fetcher.config import Settings
from fetcher.errors import BadRedirect, TooManyRedirects
from fetcher.guards.base import Limit
from fetcher.guards.spec import GuardSpec

REDIRECTS = frozenset({301, 302, 303, 307, 308})

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
# What servers forget to escape and clients forgive: blanks, and bytes of other character sets than UTF-8,
# which Python keeps as half surrogates.
_BARE = re.compile("[ \udc80-\udcff]")
_PARTS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*:)//([^/?#]*)([^?#]*)(\?[^#]*)?")


def next_location(locations: Sequence[str], current: str, hop: int, settings: Settings) -> str:
    """Find the raw URL that an answer sends us to; it has passed no rule yet.

    Args:
        locations: The values of all Location fields of the answer.
        current: The URL that was asked, as `check_url` made it.
        hop: Which redirect this is, from 1.
        settings: For how many there may be.

    Raises:
        BadRedirect: There is not exactly one Location, or it is empty.
        TooManyRedirects: This redirect is one too many.

    Source: RFC 9110 section 10.2.2.
    """
    if hop > settings.redirects.max_redirects:
        raise TooManyRedirects(max_redirects=settings.redirects.max_redirects)
    if len(locations) != 1:
        reason = "it names no place to go" if not locations else "it names more than one place to go"
        raise BadRedirect(hop=hop, reason=reason)
    # A fragment is for browsers; the authority ends before it, so nothing can hide behind it.
    location = _BARE.sub(_escape, locations[0].strip(" \t").partition("#")[0])
    if not location:
        raise BadRedirect(hop=hop, reason="it names no place to go")
    if len(location) > settings.url.max_url_bytes:
        raise BadRedirect(hop=hop, reason="the place it names is longer than a URL may be")
    return resolve(current, location)


def check_redirect(
    target: str, chain: Sequence[str], settings: Settings, *, expects_digest: bool = False
) -> None:
    """Refuse a redirect that goes round in a circle or gives up encryption.

    Args:
        target: Where it leads, as `check_url` made it.
        chain: What was asked so far, first to last.
        settings: For whether encryption may be given up.
        is_promised: A digest that the submitter gave will show if the bytes were changed on their way.

    Raises:
        TooManyRedirects: We have been there: the answer would be the same.
        BadRedirect: From https to http, and the operator does not allow that.
    """
    if target in chain:
        raise TooManyRedirects(max_redirects=settings.redirects.max_redirects)
    downgraded = chain[-1].startswith("https:") and not target.startswith("https:")
    rules = settings.redirects
    if downgraded and not (rules.allow_downgrade or (rules.allow_promised_downgrade and expects_digest)):
        hint = (
            "; give a checksum, so that changed bytes are found out" if rules.allow_promised_downgrade else ""
        )
        raise BadRedirect(hop=len(chain), reason=f"it leads from https to http{hint}")


def resolve(base: str, reference: str) -> str:
    """Resolve a reference that is not empty against an absolute URL, textually.

    Source: RFC 3986 section 5.2, strict; the result is no more valid than the reference was.
    """
    if _SCHEME.match(reference):
        return reference
    parts = _PARTS.fullmatch(base)
    assert parts is not None
    scheme, authority, path, query = parts[1], parts[2], parts[3], parts[4] or ""
    if reference.startswith("//"):
        return scheme + reference
    new_path, mark, new_query = reference.partition("?")
    if new_path.startswith("/"):
        path, query = _without_dots(new_path), mark + new_query
    elif new_path:
        path, query = _without_dots(path[: path.rfind("/") + 1] + new_path), mark + new_query
    else:
        query = mark + new_query
    return f"{scheme}//{authority}{path}{query}"


def limits(settings: Settings) -> tuple[Limit, ...]:
    """Publish what is enforced here."""
    return (
        Limit(
            name="max_redirects",
            type="integer",
            value=settings.redirects.max_redirects,
            description="How many redirects are followed, each through every check of a submitted URL.",
            guard="redirects",
        ),
        Limit(
            name="redirect_downgrade_allowed",
            type="boolean",
            value=settings.redirects.allow_downgrade,
            description="Whether a redirect may lead from https to http.",
            guard="redirects",
        ),
        Limit(
            name="promised_redirect_downgrade_allowed",
            type="boolean",
            value=settings.redirects.allow_promised_downgrade,
            description="Whether it may where the submission gives a checksum that will show a change.",
            guard="redirects",
        ),
    )


def _escape(found: re.Match[str]) -> str:
    return f"%{ord(found[0]) & 0xFF:02X}"


def _without_dots(path: str) -> str:
    """Remove `.` and `..` segments.

    Source: RFC 3986 section 5.2.4.
    """
    kept: list[str] = []
    segments = path.split("/")[1:]
    for position, segment in enumerate(segments):
        is_last = position == len(segments) - 1
        if segment == "..":
            del kept[-1:]
        if segment not in {".", ".."}:
            kept.append(segment)
        elif is_last:
            kept.append("")
    return "/" + "/".join(kept)


GUARD = GuardSpec(
    name="redirects",
    title="Redirects",
    sections=("redirects",),
    limits=limits,
    checks=(next_location, check_redirect),
)
