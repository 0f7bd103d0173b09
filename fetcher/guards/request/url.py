"""URLs that may be fetched: the raw text is judged first, then the parser that dials must agree."""

import re
import unicodedata

import msgspec
from yarl import URL

from fetcher.config import Settings
from fetcher.errors import InvalidUrl
from fetcher.guards.request.host_names import check_host
from fetcher.guards.request.redaction import UNWIELDY, quote, redact_url

__all__ = ["CheckedUrl", "CheckedUrls", "allowed_ports", "check_url", "redact_url"]

USERINFO = "it has a user name or password; credentials go into the URL of the image alone, or into headers"
DEFAULT_PORTS = {"https": 443, "http": 80}

_SHAPE = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):"
    r"(?P<slashes>//)?(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?P<query>\?[^#]*)?(?P<fragment>#.*)?",
    re.DOTALL,
)
_TWICE = re.compile(r"https?://https?:?//", re.IGNORECASE)
# What people submit, and for which there is another way: named in the refusal, so that advice can be given.
OTHER_SCHEMES = frozenset(
    {
        *(
            "ftp",
            "ftps",
            "sftp",
            "scp",
            "rsync",
            "nfs",
            "smb",
            "file",
            "magnet",
            "docker",
            "gs",
            "az",
            "abfss",
        ),
        *("wasbs", "swift", "rbd", "cinder", "glance", "git+https", "git+ssh", "ssh", "arn", "ipfs", "urn"),
    }
)
_VISIBLE = re.compile(r"[!-~]*")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_PORT = re.compile(r"[1-9][0-9]{0,4}")


class CheckedUrl(msgspec.Struct, frozen=True, kw_only=True):
    """A URL that passed, in the one form that is dialled.

    Args:
        scheme: https or http.
        host: An A-label name without its trailing dot, or an address without brackets.
        port: Never left out.
        text: The URL itself, normalised, secrets and all.
        origin: `scheme://host:port`.
        redacted: For people and logs.
    """

    scheme: str
    host: str
    port: int
    text: str
    origin: str
    redacted: str

    @property
    def authority(self) -> str:
        """`host:port`."""
        return self.origin.rpartition("/")[2]


def check_url(raw: str, settings: Settings) -> CheckedUrl:
    """Refuse a URL that breaks a rule, before anything is looked up.

    The text is judged before any parser could repair it. What passes is then
    read by the parser that dials, which must find the same host, port and
    path: two readers that disagree are how filters are passed.

    Raises:
        InvalidUrl: With the rule broken; its reason holds nothing of the URL.

    Source: RFC 3986; RFC 5891 for names in other scripts.
    """
    _check_characters(raw, settings.url.max_url_bytes)
    match = _SHAPE.fullmatch(raw)
    if match is None:
        raise InvalidUrl(rule="scheme", reason="it does not begin with a scheme such as https://")
    scheme = match["scheme"].lower()
    if scheme not in settings.url.schemes:
        named = f" {scheme}" if scheme in OTHER_SCHEMES else ""
        reason = f"its scheme{named} is none of {', '.join(settings.url.schemes)}"
        raise InvalidUrl(rule="scheme", reason=reason)
    if not match["slashes"] or not match["authority"]:
        raise InvalidUrl(rule="host", reason="two slashes and a host have to follow its scheme")
    if _TWICE.match(raw):
        raise InvalidUrl(rule="scheme", reason="it begins with two schemes")
    if match["fragment"] is not None:
        raise InvalidUrl(rule="fragment", reason="it has a fragment (#...), which no server gets to see")
    host_text, port_text = _split_authority(match["authority"])
    port = _check_port(port_text, DEFAULT_PORTS[scheme], settings)
    host = check_host(host_text, settings)
    query = match["query"] or ""
    target = _escape(match["path"] or "/") + _escape("" if query == "?" else query)
    return _agree(scheme, host, port, target, settings)


class CheckedUrls:
    """The URLs of one import, each judged once: what passes is carried from the submission to the connection.

    Args:
        settings: By which they are judged; those of another moment may refuse what these let pass.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._passed: dict[str, CheckedUrl] = {}

    def check(self, raw: str) -> CheckedUrl:
        """Return a URL in the form that is dialled; judge it where that has not been done yet.

        Raises:
            InvalidUrl: With the rule broken.
        """
        if (passed := self._passed.get(raw)) is None:
            passed = self._passed[raw] = check_url(raw, self.settings)
        return passed

    def under(self, settings: Settings) -> "CheckedUrls":
        """Return these if they passed under the same settings, else none yet: rules may have changed."""
        return self if settings is self.settings else CheckedUrls(settings)


def _check_characters(raw: str, max_url_bytes: int) -> None:
    if len(raw) > max_url_bytes:  # before any work: the text may be megabytes
        raise InvalidUrl(rule="length", reason=f"it is longer than {max_url_bytes:,} bytes")
    for character in raw if not _VISIBLE.fullmatch(raw) else "":
        if not "!" <= character <= "~" and not _is_letter(character):
            raise InvalidUrl(rule="characters", reason="it has a space, a control or an invisible character")
    if "\\" in raw:
        raise InvalidUrl(rule="characters", reason="it has a backslash")


def _is_letter(character: str) -> bool:
    """Tell whether a character outside ASCII is one that people can see: letters, marks, digits, signs."""
    return ord(character) > 127 and unicodedata.category(character)[0] in "LMNPS"


def _split_authority(authority: str) -> tuple[str, str | None]:
    if "@" in authority:
        raise InvalidUrl(
            rule="userinfo",
            reason=USERINFO,
        )
    if authority.startswith("["):
        host, bracket, rest = authority.partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise InvalidUrl(rule="host", reason="its host is no address in brackets")
        return host + bracket, rest[1:] if rest else None
    host, colon, port = authority.partition(":")
    if ":" in port:
        raise InvalidUrl(rule="host", reason="an address of IPv6 has to stand in brackets")
    return host, port if colon else None


def _check_port(text: str | None, default: int, settings: Settings) -> int:
    if text is None:
        port = default
    elif _PORT.fullmatch(text):
        port = int(text)
    else:
        raise InvalidUrl(rule="port", reason="its port is no number from 1 to 65535")
    if port not in allowed_ports(settings):
        raise InvalidUrl(rule="port", reason=_ports_words(port, settings))
    return port


def _ports_words(port: int, settings: Settings) -> str:
    allowed = ", ".join(str(one) for one in sorted(settings.url.ports))
    return f"port {port} is not allowed; allowed ports: {allowed}"


def allowed_ports(settings: Settings) -> set[int]:
    """Return the ports that a URL may name, those of the operator's own ranges included."""
    ranges = settings.address.allow
    return {*settings.url.ports, *(port for allowed in ranges for port in allowed.ports)}


def _escape(part: str) -> str:
    """Escape what RFC 3986 does not allow; what is escaped already stays, since signatures cover it."""
    if _BAD_ESCAPE.search(part):
        raise InvalidUrl(rule="escape", reason="it has a % that two hexadecimal digits do not follow")
    return UNWIELDY.sub(lambda found: quote(found[0]), part)


def _agree(scheme: str, host: str, port: int, target: str, settings: Settings) -> CheckedUrl:
    """Have the parser that dials read the URL, and compare."""
    bracketed = f"[{host}]" if ":" in host else host
    shown_port = "" if port == DEFAULT_PORTS[scheme] else f":{port}"
    text = f"{scheme}://{bracketed}{shown_port}{target}"
    if len(text) > settings.url.max_url_bytes:
        raise InvalidUrl(rule="length", reason=f"it is longer than {settings.url.max_url_bytes:,} bytes")
    try:
        url = URL(text, encoded=True)
        seen = (url.scheme, url.raw_user, url.raw_host, url.port, url.raw_path_qs, str(url))
    except ValueError as error:
        raise InvalidUrl(rule="syntax", reason="its parts are ambiguous") from error
    if seen != (scheme, None, host, port, target, text):
        raise InvalidUrl(rule="syntax", reason="its parts are ambiguous")
    return CheckedUrl(
        scheme=scheme,
        host=host,
        port=port,
        text=text,
        origin=f"{scheme}://{bracketed}:{port}",
        redacted=redact_url(text),
    )
