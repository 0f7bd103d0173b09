"""URLs as people paste them: blanks around them, and credentials inside them."""

import re
from base64 import b64encode
from urllib.parse import unquote_to_bytes

import msgspec

from fetcher.errors import InvalidRequest
from fetcher.guards.request.url import CheckedUrls
from fetcher.model import Submission

# What nobody sees: blanks of all kinds, and the marks of right-to-left text.
_UNSEEN = (*range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x206A), 0xFEFF, 0xAD)
BLANKS = "".join(chr(code) for code in range(0x3001) if chr(code).isspace()) + "".join(map(chr, _UNSEEN))
MAX_MARKS = 3  # Around one another.
# What texts put around a URL: quotation marks, backticks, and the brackets of RFC 3986 appendix C.
_PAIRS = {'"': '"', "'": "'", "`": "`", "<": ">", "\u201c": "\u201d", "\u2018": "\u2019", "\u00ab": "\u00bb"}
_CREDENTIALS = re.compile(
    r"(?P<before>[A-Za-z][A-Za-z0-9+.-]*://)(?P<userinfo>[A-Za-z0-9._~!$&'()*+,;=:%-]*)"
    r"@(?P<rest>[^@/?#\\]*(?:[/?#].*)?)",
    re.DOTALL,
)


def tidied(submission: Submission, urls: CheckedUrls) -> Submission:
    """Take blanks off all URLs, and credentials out of them: those become a header, which is secret.

    Further URLs may repeat the credentials where they are at the same origin;
    others are left as they are, to be refused.

    Raises:
        InvalidUrl: The URL with the credentials can never be fetched.
        InvalidRequest: There are credentials among the headers, too.
    """
    url, userinfo = _split(_stripped(submission.url) or "")

    def settle(other: str | None) -> str | None:
        bare, said = _split(_stripped(other) or "")
        is_same = said is not None and said == userinfo and urls.check(bare).origin == urls.check(url).origin
        return bare if is_same else _stripped(other)

    plain = msgspec.structs.replace(
        submission,
        url=url,
        mirrors=tuple(dict.fromkeys(settle(mirror) or "" for mirror in submission.mirrors)),
        checksum_url=settle(submission.checksum_url),
        checksum_signature_url=settle(submission.checksum_signature_url),
        notify_url=_stripped(submission.notify_url),
    )
    if userinfo is None:
        return plain
    if any(name.lower() == "authorization" for name in plain.headers):
        raise InvalidRequest(field="headers", reason="credentials are in the URL and in Authorization")
    return msgspec.structs.replace(plain, headers=plain.headers | {"Authorization": _basic(userinfo)})


def without_credentials(url: str) -> str:
    """Return a URL as it would be asked for, once its credentials are a header."""
    return _split(stripped(url))[0]


def stripped(text: str) -> str:
    """Take away what surrounds pasted text unseen."""
    return _stripped(text) or ""


def _split(url: str) -> tuple[str, str | None]:
    match = _CREDENTIALS.fullmatch(url)
    return (url, None) if match is None else (match["before"] + match["rest"], match["userinfo"])


def _stripped(text: str | None) -> str | None:
    if text is None:
        return None
    text = text.strip(BLANKS)
    for _ in range(MAX_MARKS):
        if len(text) > 2 and _PAIRS.get(text[0]) == text[-1]:
            text = text[1:-1].strip(BLANKS)
    return text


def _basic(userinfo: str) -> str:
    """Make the field of a user name and a password.

    Source: RFC 7617 section 2.
    """
    user, _, password = userinfo.partition(":")
    said = unquote_to_bytes(user) + b":" + unquote_to_bytes(password)
    return "Basic " + b64encode(said).decode()
