"""Request bodies: bounded, strict JSON, checked against a type."""

import json
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request

from fetcher.api.inbound.bodies import BODY, Body
from fetcher.api.services import services_of
from fetcher.errors import InvalidRequest, RequestTooLarge, WrongMediaType

T = TypeVar("T")


async def read_body(request: Request) -> bytes:
    """Read a body that is small by right, and stop as soon as it is not.

    Raises:
        RequestTooLarge: It goes past `server.max_request_bytes`.
        TooManyBodies: All that come at the same time go past `inbound.max_body_bytes`.
    """
    most = services_of(request).settings().server.max_request_bytes
    held: Body = request.scope[BODY]
    body = bytearray()
    async with held.coming():
        async for chunk in request.stream():
            if len(body) + len(chunk) > most:
                raise RequestTooLarge(max_request_bytes=most)
            held.take(len(chunk))
            body += chunk  # Not a list of pieces: those of two bytes would cost thirty each.
    return bytes(body)


async def read_json(request: Request, kind: type[T]) -> T:
    """Read a JSON body into a type: no unknown, no duplicate keys, no wrong types, no NaN.

    Raises:
        WrongMediaType: The body is not said to be JSON; a browser's form cannot do that unasked.
        InvalidRequest: It is not what the type wants; the field is named.
    """
    sent = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if sent != "application/json":
        raise WrongMediaType(sent=sent or "none", accepted="application/json")
    return convert(parse(await read_body(request)), kind)


def parse(text: bytes) -> Any:
    """Parse JSON strictly (RFC 8259, with duplicate names and unpaired surrogates refused).

    Raises:
        InvalidRequest: It is not such a document.
    """
    try:
        value = json.loads(text.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeError as error:
        raise InvalidRequest(reason="the body is not valid UTF-8") from error
    except RecursionError as error:
        raise InvalidRequest(reason="the body is nested too deeply") from error
    except ValueError as error:
        raise InvalidRequest(reason=f"the body is not valid JSON: {error}") from error
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


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
