"""The URL and where it leads."""

from fetcher.errors.base import Rejection, SourceFailure


class InvalidUrl(Rejection):
    """The URL breaks a rule before anything is looked up."""

    code = "url-invalid"
    title = "The URL cannot be fetched: {reason}."
    advice = "Correct the URL; GET /limits tells which schemes, ports and hosts are accepted."
    reason: str
    rule: str = "syntax"


class SourceUnreachable(SourceFailure):
    """No connection to the source came about; deliberately without detail."""

    code = "source-unreachable"
    title = "The source could not be reached."
    advice = "Check that the URL can be fetched from the public internet, then submit it again."
    retryable = True


class AddressForbidden(Rejection):
    """The host resolved to an address that we do not fetch from."""

    code = "address-forbidden"
    title = "The source {host} is at {address}, port {port}, which we do not fetch from: {reason}."
    advice = "Host the image on the public internet, or ask the operator to allow the address."
    public_class = SourceUnreachable
    host: str
    address: str
    port: int
    reason: str


class NameUnresolved(SourceFailure):
    """The host name has no usable address."""

    code = "name-unresolved"
    title = "The name {host} could not be resolved: {reason}."
    advice = "Check the host name, then submit the URL again."
    public_class = SourceUnreachable
    retryable = True
    host: str
    reason: str


class ConnectFailed(SourceFailure):
    """The host was allowed and did not answer, or broke the connection off before its answer."""

    code = "connect-failed"
    title = "No connection to {host}, port {port}: {reason}."
    advice = "Check that the source is up, then submit the URL again."
    public_class = SourceUnreachable
    retryable = True
    host: str
    port: int
    reason: str


class TlsFailed(SourceFailure):
    """The source's certificate or handshake is not acceptable."""

    code = "tls-failed"
    title = "The connection to {host} is not secure: {reason}."
    advice = "Have the source present a valid certificate for its name, or use another mirror."
    host: str
    reason: str


class Http2Only(SourceFailure):
    """The source takes no HTTP/1.1, the only version that is spoken here."""

    code = "http2-only"
    title = "The source {host} speaks HTTP/2 only; this service speaks HTTP/1.1."
    advice = "Use another mirror, or have the server accept HTTP/1.1 as well."
    host: str


class TooManyRedirects(Rejection):
    """The source redirected more often than allowed, or in a circle."""

    code = "too-many-redirects"
    title = "The source redirected more than {max_redirects} times, or in a circle."
    advice = "Submit the address that the redirects end at."
    max_redirects: int
    circle: bool | None = None
    cookie: bool | None = None


class BadRedirect(Rejection):
    """A redirect leads to a place that we do not follow to."""

    code = "bad-redirect"
    title = "Redirect {hop} cannot be followed: {reason}."
    advice = "Submit the address that the redirects should end at."
    hop: int
    reason: str


class SourceStatus(SourceFailure):
    """The source answered with a status that carries no image."""

    code = "source-status"
    title = "The source answered with status {status}."
    advice = "Check that the URL downloads the image without a login; 5xx answers may pass with time."
    status: int
    retry_after_seconds: float | None = None
    headers: str | None = None
    cookie: bool | None = None

    def is_retryable(self) -> bool:
        """Overload, faults and files in the making pass with time; other answers are final.

        A refusal that says when to come back is of the hour, not of the file.
        """
        passes = self.status in {202, 408, 425, 429} or self.status in range(500, 600)
        return passes or (self.status in {403, 423} and self.retry_after_seconds is not None)


class BadResponse(SourceFailure):
    """The source's answer breaks the rules of HTTP, or contradicts itself."""

    code = "bad-response"
    title = "The source's answer is not valid HTTP: {reason}."
    advice = "The server behind the URL is broken or is no web server: use another one."
    reason: str


class EncodingForbidden(Rejection):
    """The source sent a content coding that we did not ask for."""

    code = "encoding-forbidden"
    title = "The source sent the content coding {encoding}, though identity was asked for."
    advice = "Use a URL whose server sends the file as it is."
    encoding: str
