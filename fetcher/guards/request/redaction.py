"""Redaction of URLs: no password is shown, and no value of a query that may be a secret."""

import re
from urllib.parse import unquote_plus

# What a URL cannot hold as it is: all outside printable ASCII, and what RFC 3986 leaves out of it.
UNWIELDY = re.compile(r"[^!-~]|[\"<>\\^`{|}]")

HIDDEN = "REDACTED"
MAX_LENGTH = 8192  # Of what is looked at; none that is longer is taken.
MAX_PLAIN_LENGTH = 64
MAX_WORD_LENGTH = 16
MAX_CHANGES = 2
MAX_DIGITS = 16

_NAME = re.compile(r"[A-Za-z0-9_.\[\]-]{1,40}")
# Fragments of names under which services put permissions and identities: signed links of Amazon, Google,
# Azure, CloudFront and Artifactory, OAuth, sessions, logins.
_SECRET_NAMES = re.compile(
    r"token|secret|sig|hmac|mac|hash|digest|pass|pwd|pw|auth|key|cred|sess|sid|jwt|saml|bearer|otp|pin|code|"
    r"ticket|policy|cookie|nonce|salt|seed|private|user|login|mail|account|access|grant|invite|licen|hush|"
    r"^xamz|^xgoog|^xms|^awsaccess|^googleaccess|^expires|^se$|^sp$|^st$|^sr$|^sv$|^hd"
)
_PLAIN = re.compile(r"[A-Za-z0-9._~/+, -]*")
_WORD = re.compile(r"[A-Za-z0-9]+")
_CHANGE = re.compile(r"(?<=[a-z])(?=[A-Z0-9])|(?<=[0-9])(?=[A-Za-z])|(?<=[A-Z])(?=[0-9])")


def redact_url(raw: str) -> str:
    """Make a URL fit for logs and listings, whatever it is: no password, no secret of its query.

    Download links carry their permission in the query (`X-Amz-Signature`,
    `sig`, `token`). A value stays only where its name suggests no secret and it
    reads as words, numbers or versions (`arch=amd64`, `version=13.1`); all else goes.
    """
    return UNWIELDY.sub(lambda found: quote(found[0]), _hidden(raw[:MAX_LENGTH]))[:512]


def holds_secret(raw: str) -> bool:
    """Tell whether a typed URL may hold a secret: a login, a permission in its query or fragment."""
    before, _, rest = raw.partition("#")[0].partition("?")
    if len(raw) > MAX_LENGTH or "@" in before:
        return True
    fragment = raw.partition("#")[2]
    return is_redacted(_hidden(f"{before}?{rest}")) or is_redacted(_hidden(f"{before}?{fragment}"))


def _hidden(raw: str) -> str:
    before, mark, query = raw.partition("#")[0].partition("?")
    scheme, colon, rest = before.partition(":")
    if not colon or not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]{0,31}", scheme):
        scheme, colon, rest = "", "", before
    slashes = rest[: len(rest) - len(rest.lstrip("/\\"))]
    authority, slash, path = rest[len(slashes) :].partition("/")
    plain = authority.rpartition("@")[2]
    if not re.fullmatch(r"(\[[0-9A-Fa-f:.]*\]|[^\s:@\\\[\]]*)(:[0-9]*)?", plain):
        # Something else than a host: perhaps half a password that held a slash.
        plain, path = HIDDEN, ""
    fields = "&".join(_redact_field(field) for field in query.split("&")) if mark else ""
    return f"{scheme.lower()}{colon}{slashes}{plain}{slash}{path}{mark}{fields}"


def is_redacted(url: str) -> bool:
    """Tell whether a URL is one that `redact_url` has taken a secret from."""
    before, _, query = url.partition("?")
    host = before.partition("://")[2].partition("/")[0]
    return host == HIDDEN or any(field.rpartition("=")[2] == HIDDEN for field in query.split("&"))


def quote(text: str) -> str:
    """Escape text for a URL, byte for byte."""
    return "".join(f"%{byte:02X}" for byte in text.encode("utf-8", "replace"))


def _redact_field(field: str) -> str:
    name, equals, value = field.partition("=")
    # Without a value the name itself may be the secret, with the = of base64 at its end.
    if not value.strip("=") or not _NAME.fullmatch(name):
        return HIDDEN if field else ""
    return field if equals and _is_plain(name, value) else f"{name}={HIDDEN}"


def _is_plain(name: str, value: str) -> bool:
    """Tell whether a field of a query is no secret; in doubt it is one."""
    letters = re.sub(r"[^a-z0-9]", "", name.lower())
    if len(letters) < 2 or _SECRET_NAMES.search(letters):
        return False
    text = unquote_plus(value)
    is_long_number = sum(letter.isdigit() for letter in text) > MAX_DIGITS
    if is_long_number or len(text) > MAX_PLAIN_LENGTH or not _PLAIN.fullmatch(text):
        return False
    return all(_reads(word) for word in _WORD.findall(text))


def _reads(word: str) -> bool:
    """Tell a word, a number or a version from what looks as if dice had made it."""
    return len(word) <= MAX_WORD_LENGTH and len(_CHANGE.findall(word)) <= MAX_CHANGES
