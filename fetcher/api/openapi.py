"""The API document (OpenAPI 3.1), made from the routes and the types."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from fetcher import __version__, errors
from fetcher.api import discovery, health, imports, metrics, shapes
from fetcher.api.problems import base_url, status_of_kind, summary
from fetcher.errors import Failure
from fetcher.index import FILTERS
from fetcher.model import State

JSON, TEXT = "application/json", "text/plain"
REF = "#/components/schemas/{name}"
# Every operation may end in these: a wrong Host; no token, no identity service, a broken index.
OPEN_TO_ALL = (errors.InvalidRequest,)
ANYWHERE = (errors.InvalidRequest, errors.Unauthenticated, errors.IdentityUnavailable, errors.StoreFailed)


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """What the code of a route cannot say of itself.

    Args:
        answers: By status: the type of the JSON, a media type for anything else, or None for nothing.
        ends_in: Failures beyond those that every operation may end in.
        query: Parameters: names, schemas and what they are.
    """

    tag: str
    answers: dict[int, Any]
    body: Any = None
    ends_in: tuple[type[Failure], ...] = ()
    query: tuple[tuple[str, dict[str, Any], str], ...] = ()
    headers: tuple[tuple[str, dict[str, Any], str], ...] = ()
    is_open: bool = False


_TEXT = {"type": "string"}
_PAGING = (
    ("limit", {"type": "integer", "minimum": 1}, "At most this many."),
    ("marker", _TEXT, "Go on after this id."),
)
_SUBMIT_ENDS = (
    *(errors.InvalidUrl, errors.ChecksumRequired, errors.QueueFull, errors.NotReady, errors.Forbidden),
    *(errors.IdempotencyMismatch, errors.WrongMediaType, errors.RequestTooLarge),
)
_KEY = (
    "Idempotency-Key",
    {"type": "string", "pattern": r"^[\x21-\x7e]{1,255}$"},
    "Makes a repeated POST safe.",
)

OPERATIONS: dict[Callable[..., Any], Operation] = {
    imports.submit: Operation(
        tag="Imports",
        body=imports.SubmitBody,
        answers={202: shapes.ImportAnswer},
        ends_in=_SUBMIT_ENDS,
        headers=(_KEY,),
    ),
    imports.listing: Operation(
        tag="Imports",
        answers={200: shapes.ImportsAnswer},
        ends_in=(errors.UnknownImport,),
        query=(
            *_PAGING,
            ("state", {"enum": [state.value for state in State]}, "Only those in this state."),
            *((name, _TEXT, f"Only those with this {name}.") for name in FILTERS if name != "state"),
        ),
    ),
    imports.options: Operation(tag="Discovery", answers={200: shapes.OptionsAnswer}, is_open=True),
    imports.show: Operation(
        tag="Imports", answers={200: shapes.ImportAnswer}, ends_in=(errors.UnknownImport,)
    ),
    imports.cancel: Operation(
        tag="Imports",
        answers={204: None},
        ends_in=(errors.UnknownImport, errors.Conflict, errors.Forbidden),
    ),
    imports.events: Operation(
        tag="Imports", answers={200: "text/event-stream"}, ends_in=(errors.UnknownImport,)
    ),
    imports.provenance: Operation(
        tag="Imports", answers={200: dict[str, Any]}, ends_in=(errors.UnknownImport,)
    ),
    imports.limits: Operation(tag="Discovery", answers={200: shapes.LimitsAnswer}),
    discovery.errors_index: Operation(tag="Discovery", answers={200: shapes.CodesAnswer}, is_open=True),
    discovery.error_page: Operation(
        tag="Discovery", answers={200: shapes.CodeAnswer}, ends_in=(errors.NotFound,), is_open=True
    ),
    health.healthz: Operation(tag="Operation", answers={200: shapes.HealthAnswer}, is_open=True),
    health.readyz: Operation(
        tag="Operation", answers={200: shapes.ReadyAnswer, 503: shapes.ReadyAnswer}, is_open=True
    ),
    metrics.metrics: Operation(tag="Operation", answers={200: TEXT}, ends_in=(errors.Forbidden,)),
}


def api_document(routes: Sequence[BaseRoute], base: str) -> dict[str, Any]:
    """Describe every operation of the API; pages for people are left out.

    Args:
        base: Where this service is.
    """
    paths: dict[str, dict[str, Any]] = {}
    kinds = list(_kinds())
    references, components = msgspec.json.schema_components([*kinds, shapes.Problem], ref_template=REF)
    reference_of = dict(zip(map(str, kinds), references, strict=False))
    for route in routes:
        if isinstance(route, Route) and not route.path.startswith("/page/") and route.path != "/openapi":
            for method in sorted((route.methods or set()) - {"HEAD"}):
                found = _describe(route, method, reference_of)
                paths.setdefault(plain_path(route), {})[method.lower()] = found
    for component in components.values():
        component["description"] = str(component.get("description", "")).partition("\n")[0]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Glance Fetcher",
            "version": __version__,
            "description": "Submit a URL, get an image.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": base}],
        "security": [{"token": []}, {"bearer": []}, {}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
        },
    }


def plain_path(route: Route) -> str:
    """A route's path as OpenAPI writes it: without the kinds of its parameters."""
    return re.sub(r":\w+\}", "}", route.path)


def _kinds() -> Iterator[Any]:
    for operation in OPERATIONS.values():
        yield from (kind for kind in (*operation.answers.values(), operation.body) if isinstance(kind, type))


def _describe(route: Route, method: str, reference_of: dict[str, Any]) -> dict[str, Any]:
    words = (route.endpoint.__doc__ or "").strip().partition("\n")[0].rpartition("`: ")[2].replace("`", "")
    name = re.sub(r"\W+", "_", route.path)
    found: dict[str, Any] = {
        "operationId": f"{method.lower()}{name}",
        "summary": f"{words[:1].upper()}{words[1:]}",
        "parameters": [
            {"name": parameter, "in": "path", "required": True, "schema": _TEXT}
            for parameter in route.param_convertors
        ],
    }
    operation = OPERATIONS.get(route.endpoint)
    if operation is None:
        found["tags"] = ["Image API v2" if route.path.startswith("/v2") else "Discovery"]
        found["responses"] = {"default": {"description": "As the Image API v2 has it."}}
        return found
    found["tags"] = [operation.tag]
    found["parameters"] += [
        {"name": name, "in": where, "schema": schema, "description": words}
        for where, parameters in (("query", operation.query), ("header", operation.headers))
        for name, schema, words in parameters
    ]
    if operation.body is not None:
        content = {JSON: {"schema": reference_of[str(operation.body)]}}
        found["requestBody"] = {"required": True, "content": content}
    answers = {str(status): _answer(kind, reference_of) for status, kind in operation.answers.items()}
    found["responses"] = {**answers, **{k: v for k, v in _problems(operation) if k not in answers}}
    if operation.is_open:
        found["security"] = [{}]
    return found


def _answer(kind: Any, reference_of: dict[str, Any]) -> dict[str, Any]:
    if kind is None:
        return {"description": "Done."}
    if isinstance(kind, str):
        return {"description": "As said.", "content": {kind: {"schema": _TEXT}}}
    schema = reference_of[str(kind)] if isinstance(kind, type) else {"type": "object"}
    return {"description": "As said.", "content": {JSON: {"schema": schema}}}


def _problems(operation: Operation) -> Iterator[tuple[str, dict[str, Any]]]:
    by_status: dict[int, list[type[Failure]]] = {}
    anywhere = OPEN_TO_ALL if operation.is_open else ANYWHERE
    for kind in (*anywhere, *operation.ends_in):
        by_status.setdefault(status_of_kind(kind), []).append(kind)
    for status, kinds in sorted(by_status.items()):
        words = " ".join(f"`{kind.code}`: {summary(kind)}" for kind in kinds)
        schema = {"$ref": REF.format(name="Problem")}
        yield (
            str(status),
            {"description": words, "content": {"application/problem+json": {"schema": schema}}},
        )


async def openapi(request: Request) -> Response:
    """`GET /openapi.json`: this document."""
    return JSONResponse(api_document(request.app.routes, base_url(request)))


routes = [Route("/openapi.json", openapi, methods=["GET"])]
