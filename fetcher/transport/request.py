"""A question to a source."""

import re
from collections.abc import AsyncIterator, Callable, Sequence

import msgspec

from fetcher import __version__
from fetcher.config import Settings
from fetcher.guards.network.heads import Wanted
from fetcher.guards.request.url import CheckedUrl, check_url
from fetcher.model import ClientCertificate
from fetcher.transport.dialect import Dialect

USER_AGENT = f"glance-fetcher/{__version__}"

# What a range may be bound to: a strong validator, or a date of which the source is sure.
_STRONG = re.compile(r'"[!#-~]{0,256}"')
_DATE = re.compile(r"[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} GMT")
_VALIDATOR = re.compile(r"[ !-~]{1,300}")


class Outgoing(msgspec.Struct, frozen=True, kw_only=True):
    """A body that is sent as it is read.

    Args:
        chunks: Begins reading it from its first byte.
        size: How many bytes there are.
        media_type: What they are called.
        stall_seconds: How long the receiver may take none of them, and for its answer after the last.
    """

    chunks: Callable[[], AsyncIterator[bytes]]
    size: int
    media_type: str = "application/octet-stream"
    stall_seconds: float


class SourceRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One pull: a URL and which part of what is behind it.

    Args:
        url: As submitted, and then judged before anything else happens; or judged already, by the settings
            that it is asked with.
        headers: The submitter's own, secret; sent only to the origin of `url`.
        offset: The first byte wanted.
        length: How many bytes; None means all that follow.
        if_range: The validator of the bytes already held; without it a resumed
            range could be of another version.
        if_none_match: The validator of a version already held: 304 is then an answer.
        if_modified_since: Likewise, as an HTTP date.
        project: Whose pull it is, so that one project's hung names delay nobody else's.
        address: The one address to dial, judged like any other; None looks the host up.
        follows: Whether redirects are followed; else one is an answer like any other.
        expects_digest: A digest that the submitter gave will show if the bytes were changed on their way.
        ca_pem: Authorities that are trusted beside the operator's.
        body: JSON that is sent, with POST; None asks with GET.
        dialect: Speaks for us at the origin of `url`.
        client: Shown to the origin of `url`, where that asks who we are.
        outgoing: A large body that is sent, with PUT.
        verb: The method of a call, where it is another.
        body_type: Of the body, where JSON has a type of its own.
        fixed: Fields that the protocol wants of us; no submitter may set them.
    """

    url: str | CheckedUrl
    headers: dict[str, str] = {}
    offset: int = 0
    length: int | None = None
    if_range: str | None = None
    if_none_match: str | None = None
    if_modified_since: str | None = None
    project: str = ""
    address: str | None = None
    follows: bool = True
    expects_digest: bool = False
    ca_pem: str | None = None
    body: bytes | None = None
    dialect: Dialect | None = None
    client: ClientCertificate | None = None
    outgoing: Outgoing | None = None
    verb: str | None = None
    body_type: str = "application/json"
    fixed: dict[str, str] = {}

    @property
    def text(self) -> str:
        """Return the URL itself, secrets and all."""
        return self.url if isinstance(self.url, str) else self.url.text

    def target(self, settings: Settings) -> CheckedUrl:
        """Return the URL in the form that is dialled; judge it where nobody did.

        Raises:
            InvalidUrl: With the rule broken.
        """
        return check_url(self.url, settings) if isinstance(self.url, str) else self.url

    @property
    def method(self) -> str:
        """Of HTTP."""
        if self.verb is not None:
            return self.verb
        if self.outgoing is not None:
            return "PUT"
        return "GET" if self.body is None else "POST"

    @property
    def is_range(self) -> bool:
        """Return whether a part of the whole is asked for."""
        return self.offset > 0 or self.length is not None

    def settled(self) -> "SourceRequest":
        """Ask for everything where the bytes already held have only a weak validator.

        Source: RFC 9110 section 13.1.5: a range may not be bound to one.
        """
        bound = self.if_range
        if bound is None or is_strong(bound) or _DATE.fullmatch(bound) or self.length is not None:
            return self
        return self.whole()

    def whole(self) -> "SourceRequest":
        """Ask for everything instead of a part."""
        return msgspec.structs.replace(self, offset=0, length=None, if_range=None)

    def wanted(self, path: str, names: Sequence[str] = ()) -> Wanted:
        """Tell the guard of answers what was asked, and by which names."""
        return Wanted(
            offset=self.offset,
            length=self.length,
            if_range=self.if_range,
            conditional=bool(self.if_none_match or self.if_modified_since),
            path=path,
            names=names,
        )

    def fields(self, *, with_secrets: bool) -> dict[str, str]:
        """Build the header fields of the request.

        Args:
            with_secrets: Only where the request goes to the origin that the
                submitter's own headers were given for.
        """
        fields = {"User-Agent": USER_AGENT, "Accept": "*/*"}
        own = self.headers if with_secrets else {}
        given = {name.lower() for name in own}
        fields = {name: value for name, value in fields.items() if name.lower() not in given} | own
        fields["Accept-Encoding"] = "identity"
        if self.outgoing is not None:
            given_type = {} if "content-type" in given else {"Content-Type": self.outgoing.media_type}
            fields |= given_type | {"Content-Length": str(self.outgoing.size)}
        elif self.body is None:
            fields["Want-Repr-Digest"] = "sha-256=10, sha-512=5"
        else:
            fields["Content-Type"] = self.body_type
        if self.is_range:
            last = "" if self.length is None else str(self.offset + self.length - 1)
            fields["Range"] = f"bytes={self.offset}-{last}"
        conditions = {
            "If-Range": self.if_range if self.is_range else None,
            "If-None-Match": self.if_none_match,
            "If-Modified-Since": self.if_modified_since,
        }
        fields |= {name: value for name, value in conditions.items() if value and _VALIDATOR.fullmatch(value)}
        return fields | self.fixed


def is_strong(validator: str | None) -> bool:
    """Tell whether a range may be bound to a validator: an entity tag that is not weak.

    Source: RFC 9110 section 13.1.5.
    """
    return validator is not None and _STRONG.fullmatch(validator) is not None
