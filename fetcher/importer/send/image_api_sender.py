"""A client of another service's Image API v2: the calls that stage bytes there and make an image of them.

It knows no import and keeps no state, so whatever has bytes to send may use
it. What the other end says is believed by nobody: `find` reads a record into
checked fields, and a stranger's words are shortened and made printable.
"""

import html
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec

from fetcher.config import Settings
from fetcher.errors import (
    BadResponse,
    Failure,
    ServiceFailure,
    SourceTooSlow,
    TargetRefused,
    TargetUnavailable,
)
from fetcher.guards.network.response import retry_after
from fetcher.settings.guards.address import AllowedRange
from fetcher.transport import CallAnswer, Gate, Outgoing, SourceRequest

PATCH_TYPE = "application/openstack-images-v2.1-json-patch"
MAX_SAID_CHARACTERS = 200
_WORDS = {
    400: "it finds fault with the request",
    401: "it does not accept your token, which may have expired",
    403: "you may not do this there, or your quota there is used up",
    404: "the image is gone there, or you may not see it",
    409: "the image is in another state there than it should be",
    413: "the image is larger than it takes, or your quota there is used up",
    415: "it does not take this kind of request",
}
_AGAIN = frozenset({408, 425, 429})


T = TypeVar("T")


class Destination(msgspec.Struct, frozen=True, kw_only=True):
    """An image service, and on whose behalf it is called.

    Args:
        url: Without /v2.
        token: The submitter's own; None where the service wants none.
        service_token: Gives our own account's, beside which an expired one of the submitter is still accepted
            (keystonemiddleware, `service_token_roles`); None sends none.
        ca_file: Authorities for its certificate, in place of those for sources.
        project: Whose call it is here, so that nobody else waits for it.
        is_operators: The operator named it, so that it may be anywhere; what a submission names is judged
            like any other URL.
    """

    url: str
    token: str | None = None
    service_token: Callable[[], Awaitable[str | None]] | None = None
    ca_file: str = ""
    project: str = ""
    is_operators: bool = True


class ImageThere(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of another service's record that matter here; each is no more than a claim."""

    id: str
    status: str
    size: int | None = None
    disk_format: str | None = None
    container_format: str | None = None
    checksum: str | None = None
    os_hash_algo: str | None = None
    os_hash_value: str | None = None
    os_glance_import_task: str | None = None


class _Task(msgspec.Struct, frozen=True):
    message: str | None = None


class _Tasks(msgspec.Struct, frozen=True):
    tasks: list[_Task] = []


class _Methods(msgspec.Struct, frozen=True):
    value: list[str] = []


class _Discovery(msgspec.Struct, frozen=True):
    methods: _Methods = msgspec.field(name="import-methods", default=_Methods())


class ImageApiSender:
    """Calls an image service through the gate, one request at a time.

    Every method raises TargetRefused where another try would end the same,
    and TargetUnavailable where it may not.
    """

    def __init__(self, gate: Gate, settings: Settings, destination: Destination) -> None:
        self._gate = gate
        self._destination = destination
        self._settings = _towards(destination, settings) if destination.is_operators else settings

    async def find(self, image_id: str) -> ImageThere | None:
        """Return the record of an image; None where there is none, or the token's owner may not see it."""
        answer = await self._call("GET", f"images/{image_id}", also=(404,))
        return None if answer.status == 404 else _read(answer, ImageThere)

    async def create(self, record: dict[str, Any]) -> ImageThere:
        """Make a record that waits for bytes."""
        return _read(await self._call("POST", "images", msgspec.json.encode(record)), ImageThere)

    async def change(self, image_id: str, values: dict[str, Any]) -> None:
        """Set attributes of a record."""
        patch = [
            {"op": "add", "path": f"/{_pointer(name)}", "value": value} for name, value in values.items()
        ]
        await self._call("PATCH", f"images/{image_id}", msgspec.json.encode(patch), body_type=PATCH_TYPE)

    async def stage(self, image_id: str, chunks: Callable[[], AsyncIterator[bytes]], size: int) -> None:
        """Send an image's bytes for an import that follows.

        Args:
            chunks: Begins reading them from the first.
            size: How many there are.
        """
        stall_seconds = self._settings.pace.idle_seconds
        outgoing = Outgoing(chunks=chunks, size=size, stall_seconds=stall_seconds)
        await self._call("PUT", f"images/{image_id}/stage", outgoing=outgoing)

    async def upload(self, image_id: str, chunks: Callable[[], AsyncIterator[bytes]], size: int) -> None:
        """Send an image's bytes, which make it active; arguments as of `stage`."""
        stall_seconds = self._settings.pace.idle_seconds
        outgoing = Outgoing(chunks=chunks, size=size, stall_seconds=stall_seconds)
        await self._call("PUT", f"images/{image_id}/file", outgoing=outgoing)

    async def takes_staged(self) -> bool:
        """Return whether the service imports what was staged; those that do not say so take uploads."""
        answer = await self._call("GET", "info/import", also=(404,))
        return answer.status == 200 and "glance-direct" in _read(answer, _Discovery).methods.value

    async def start_import(self, image_id: str) -> None:
        """Have the service make the image of the bytes that are staged."""
        body = msgspec.json.encode({"method": {"name": "glance-direct"}})
        await self._call("POST", f"images/{image_id}/import", body)

    async def last_message(self, image_id: str) -> str | None:
        """Return what the service says of its latest import into an image; None where it says nothing."""
        try:
            answer = await self._call("GET", f"images/{image_id}/tasks")
            found = _read(answer, _Tasks).tasks
        except (TargetRefused, TargetUnavailable):
            return None  # The calls of tasks are younger than imports.
        return _printable(found[0].message or "") or None if found else None

    async def remove(self, image_id: str) -> None:
        """Delete an image and what is staged for it; one that is gone already is fine."""
        await self._call("DELETE", f"images/{image_id}", also=(404, 410))

    async def _call(  # noqa: PLR0913 - all that one call may bring
        self,
        verb: str,
        path: str,
        body: bytes | None = None,
        *,
        also: tuple[int, ...] = (),
        body_type: str = "application/json",
        outgoing: Outgoing | None = None,
    ) -> CallAnswer:
        """Make one call; raise any answer but success, in plain words."""
        destination = self._destination
        request = SourceRequest(
            url=f"{destination.url}/v2/{path}",
            headers=await self._tokens(),
            project=destination.project,
            verb=verb,
            body=body,
            body_type=body_type,
            outgoing=outgoing,
        )
        try:
            answer = await self._gate.exchange(request, self._settings)
        except ServiceFailure:
            raise  # Ours, such as a machine that is short of something.
        except Failure as failure:
            raise TargetUnavailable(reason=_why(failure)) from failure
        if 200 <= answer.status < 300 or answer.status in also:
            return answer
        raise _refusal(answer)

    async def _tokens(self) -> dict[str, str]:
        """Return the headers that say on whose behalf this is, and who asks."""
        destination = self._destination
        if not destination.token:
            return {}
        try:
            own = None if destination.service_token is None else await destination.service_token()
        except Failure as failure:
            reason = "the identity service gives no token for this service's own account"
            raise TargetUnavailable(reason=reason) from failure
        return {"X-Auth-Token": destination.token, **({"X-Service-Token": own} if own else {})}


def _towards(destination: Destination, settings: Settings) -> Settings:
    """Return the settings for calls of a service that the operator named, wherever it is.

    Its host, its port and its network are open to these calls alone. What the
    operator denies, and what nobody may dial, stays shut.
    """
    parts = urlsplit(destination.url)
    ports = [parts.port or (443 if parts.scheme == "https" else 80)]
    everywhere = [AllowedRange(cidr=cidr, ports=ports) for cidr in ("0.0.0.0/0", "::/0")]
    replace = msgspec.structs.replace
    ca_file = destination.ca_file or settings.tls.ca_file
    return replace(
        settings,
        url=replace(
            settings.url,
            schemes=[parts.scheme],
            ports=ports,
            allow_literals=True,
            allow_hosts=[parts.hostname or ""],
        ),
        address=replace(settings.address, allow=everywhere),
        tls=replace(settings.tls, ca_file=ca_file, unverified_hosts=[]),
    )


def _read(answer: CallAnswer, kind: type[T]) -> T:
    """Read a document of the service."""
    try:
        return msgspec.json.decode(answer.body, type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        raise TargetUnavailable(
            reason="its answer is not one of the Image API", status=answer.status
        ) from error


def _refusal(answer: CallAnswer) -> TargetRefused | TargetUnavailable:
    status = answer.status
    if status >= 500 or status in _AGAIN:
        failure = TargetUnavailable(reason=f"it answered with status {status}", status=status)
        asked = [answer.retry_after] if answer.retry_after else []
        failure.retry_after_seconds = retry_after(asked, datetime.now(UTC))
        return failure
    words = _WORDS.get(status, f"it answered with status {status}")
    if 300 <= status < 400:
        words = "it redirects, so the address that the operator gave is not its own"
    return TargetRefused(reason=words, status=status, said=_said(answer.body) or None)


def _why(failure: Failure) -> str:
    if isinstance(failure, SourceTooSlow):
        return "it did not answer, or took no more bytes, in time"
    if isinstance(failure, BadResponse):
        return "its answer is not one of the Image API"
    return "it could not be reached, or broke the connection off"


def _said(body: bytes) -> str:
    """Find the words in an error: those of JSON, else the text of a page as webob makes it."""
    text = body[:65_536].decode("utf-8", "replace")
    try:
        found = msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        text = re.sub(r"\A\d{3} [A-Za-z ]+\n", "", text)  # As webob begins its plain ones.
        bare = re.sub(
            r"<(title|style|script|h1)\b.*?</\1>|<[^>]*>", " ", text, flags=re.DOTALL | re.IGNORECASE
        )
        return _printable(html.unescape(bare))
    inner = found.get("error")
    message = inner.get("message") if isinstance(inner, dict) else found.get("message")
    return _printable(message) if isinstance(message, str) else ""


def _printable(text: str) -> str:
    words = " ".join(text.split())
    return "".join(letter if letter.isprintable() else "?" for letter in words)[:MAX_SAID_CHARACTERS]


def _pointer(name: str) -> str:
    """Write a name as a part of a JSON pointer.

    Source: RFC 6901 section 3.
    """
    return name.replace("~", "~0").replace("/", "~1")
