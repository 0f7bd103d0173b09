"""Request bodies: bounded, strict JSON, checked against a type."""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request

from fetcher.api.inbound.bodies import BODY, Body
from fetcher.api.services import services_of
from fetcher.errors import InvalidRequest, RequestTooLarge, WrongMediaType

T = TypeVar("T")

JSON = "application/json"

SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
NUL = "\\u0000"  # Likewise.
SMALL_BYTES = 16_384  # Read within a millisecond or two; nearly all that comes is smaller.


async def read_body(request: Request) -> bytes:
    """Read a body that is small by right, and stop as soon as it is not.

    Raises:
        RequestTooLarge: It goes past `server.max_request_bytes`.
        TooManyBodies: All that come at the same time go past `inbound.max_body_bytes`.
    """
    most = services_of(request).current.settings.server.max_request_bytes
    held: Body = request.scope[BODY]
    body = bytearray()
    async with held.coming():
        async for chunk in request.stream():
            if not chunk:
                continue  # The end.
            if len(body) + len(chunk) > most:
                raise RequestTooLarge(max_request_bytes=most)
            held.take(len(chunk))
            body += chunk  # Not a list of pieces: those of two bytes would cost thirty each.
    return bytes(body)


async def read_json(request: Request, kind: type[T], *, accepted: Sequence[str] = (JSON,)) -> T:
    """Read a JSON body into a type: no unknown, no duplicate keys, no wrong types, no NaN.

    Raises:
        WrongMediaType: The body is not said to be JSON; a browser's form cannot do that unasked.
        InvalidRequest: It is not what the type wants; the field is named.
    """
    sent = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if sent not in accepted:
        raise WrongMediaType(sent=sent or "none", accepted=" or ".join(accepted))
    body = await read_body(request)
    return convert(await beside(request, body, lambda: parse(body)), kind)


async def beside(request: Request, body: bytes, read: Callable[[], T]) -> T:
    """Read a body off the event loop where it is large: a mebibyte can be made to take a tenth of a second.

    Raises:
        Failure: As `read`.
    """
    if len(body) <= SMALL_BYTES:
        return read()
    found: list[T] = []

    def part() -> bool:
        found.append(read())
        return True

    await services_of(request).importer.context.worker_pool.offload.run(part)
    return found[0]


def parse(text: bytes) -> Any:
    """Parse JSON strictly (RFC 8259, with duplicate names, unpaired surrogates and NUL characters refused).

    PostgreSQL keeps no text with a NUL character, so no index is given one.

    Raises:
        InvalidRequest: It is not such a document.
    """
    try:
        decoded = text.decode("utf-8")
        # Each number passes through Python, where others get their turn: C alone keeps all of them waiting.
        value = _STRICT.decode(decoded)
        if SURROGATE.search(decoded):  # Only an escape can make one.
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeError as error:
        raise InvalidRequest(reason="the body is not valid UTF-8") from error
    except RecursionError as error:
        raise InvalidRequest(reason="the body is nested too deeply") from error
    except ValueError as error:
        raise InvalidRequest(reason=f"the body is not valid JSON: {error}") from error
    if NUL in decoded and _has_nul(value):
        raise InvalidRequest(reason="the body has a NUL character (\\u0000), which no text may have")
    return value


def convert(value: Any, kind: type[T]) -> T:
    """Check a parsed document against a type.

    Raises:
        InvalidRequest: It does not fit; says where and what is expected.
    """
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        reason, _, path = str(error).partition(" - at ")
        field = path.strip("`").removeprefix("$.") or None
        where = f"{field}: " if field else ""
        text = f"{where}{reason[:1].lower()}{reason[1:]}".replace("`", "")
        raise InvalidRequest(reason=text, field=field) from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"the name {name!r} stands twice")
        found[name] = value
    return found


def _has_nul(value: Any) -> bool:
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str) and "\0" in item:
            return True
        if isinstance(item, dict):
            waiting += [*item, *item.values()]
        elif isinstance(item, list):
            waiting += item
    return False


def _int(digits: str) -> int:
    return int(digits)


def _float(digits: str) -> float:
    return float(digits)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_STRICT = json.JSONDecoder(
    object_pairs_hook=_unique, parse_constant=_no_constant, parse_int=_int, parse_float=_float
)
