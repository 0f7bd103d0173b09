"""What may be shown of a URL: never a password, never a value of its query."""

import re

# What a URL cannot hold as it is: all outside printable ASCII, and what RFC 3986 leaves out of it.
UNWIELDY = re.compile(r"[^!-~]|[\"<>\\^`{|}]")


def redact_url(raw: str) -> str:
    """Make a URL fit for logs and listings, whatever it is: no password, no value of its query.

    Download links carry their permission in the query (`X-Amz-Signature`,
    `sig`, `token`), under names nobody can list, so every value goes.
    """
    before, mark, query = raw[:8192].partition("#")[0].partition("?")
    scheme, colon, rest = before.partition(":")
    if not colon or not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]{0,31}", scheme):
        scheme, colon, rest = "", "", before
    slashes = rest[: len(rest) - len(rest.lstrip("/\\"))]
    authority, slash, path = rest[len(slashes) :].partition("/")
    plain = authority.rpartition("@")[2]
    if not re.fullmatch(r"(\[[0-9A-Fa-f:.]*\]|[^\s:@\\\[\]]*)(:[0-9]*)?", plain):
        # Something else than a host: perhaps half a password that held a slash.
        plain, path = "REDACTED", ""
    fields = "&".join(_redact_field(field) for field in query.split("&")) if mark else ""
    shown = f"{scheme.lower()}{colon}{slashes}{plain}{slash}{path}{mark}{fields}"
    return UNWIELDY.sub(lambda found: quote(found[0]), shown)[:512]


def quote(text: str) -> str:
    """Escape text for a URL, byte for byte."""
    return "".join(f"%{byte:02X}" for byte in text.encode("utf-8", "replace"))


def _redact_field(field: str) -> str:
    key, _, value = field.partition("=")
    # Without a value the key itself may be the secret, with the = of base64 at its end.
    if value.strip("=") and re.fullmatch(r"[A-Za-z0-9_.\[\]-]{1,40}", key):
        return f"{key}=REDACTED"
    return "REDACTED" if field else ""
