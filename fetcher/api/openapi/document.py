"""The API document (OpenAPI 3.1), made from the routes, the types and what is in force."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from typing import Any

import msgspec
from starlette.routing import BaseRoute, Route

from fetcher import __version__
from fetcher.api.image_v2.faults import status_of_fault
from fetcher.api.openapi import image_v2_operations as v2_operations
from fetcher.api.openapi import metadefs_operations as metadef_operations
from fetcher.api.openapi import operations
from fetcher.api.openapi.descriptions import (
    describe_fields,
    name_items,
    of_operation,
    of_path_parameter,
    table,
)
from fetcher.api.openapi.examples import of_failure, recorded
from fetcher.api.openapi.image_v2_components import components
from fetcher.api.openapi.operations import ANYWHERE, JSON, OPEN_TO_ALL, Named, Operation
from fetcher.api.openapi.routes import NO_BASE
from fetcher.api.openapi.schemas import image_api as image_schemas
from fetcher.api.openapi.schemas.service import Fault, Problem
from fetcher.api.problems import status_of_kind, summary
from fetcher.attest import PAYLOAD_TYPE
from fetcher.attest.dsse import MEDIA_TYPE
from fetcher.config import Settings
from fetcher.errors import Failure

FOR_PEOPLE = ("/page/", "/docs")
REF = "#/components/schemas/{name}"
_TEXT = {"type": "string"}
_BYTES = {"type": "string", "format": "binary"}
_IMPORT = {"$ref": REF.format(name="ImportAnswer")}
_EVENT: dict[str, Any] = {
    "type": "object",
    "description": "One event of the stream.",
    "properties": {
        "event": {"enum": ["progress", "end", "stopping"]},
        "id": _TEXT,
        "data": {**_TEXT, "contentMediaType": JSON, "contentSchema": _IMPORT},
    },
    "required": ["event", "data"],
}
# Of answers that are neither JSON nor plain text. Readers of a stream want its events described, generators
# of clients the text that it is.
_MEDIA: dict[str, dict[str, Any]] = {
    "application/octet-stream": _BYTES,
    "text/event-stream": {"anyOf": [_EVENT, {"type": "string", "description": "The stream as text."}]},
    MEDIA_TYPE: {
        "type": "object",
        "properties": {
            "payload": {**_TEXT, "contentEncoding": "base64", "contentMediaType": PAYLOAD_TYPE},
            "payloadType": {"const": PAYLOAD_TYPE},
            "signatures": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"keyid": _TEXT, "sig": _TEXT},
                    "required": ["sig"],
                },
            },
        },
        "required": ["payload", "payloadType", "signatures"],
    },
}

OPERATIONS: dict[Callable[..., Any], Operation] = {
    **operations.OPERATIONS,
    **v2_operations.OPERATIONS,
    **metadef_operations.OPERATIONS,
}
# Where the handler belongs to no room of the API: known by its path.
BY_PATH = {
    "/": Operation(
        tag="Discovery",
        answers={300: image_schemas.VersionsAnswer, 200: "text/html"},
        is_open=True,
    ),
    "/openapi.json": Operation(tag="Discovery", answers={200: dict[str, Any]}, is_open=True),
}


def operation_of(route: Route) -> Operation:
    """Return what is known of a route's operation beyond its code."""
    return BY_PATH.get(route.path) or OPERATIONS[route.endpoint]


def api_document(routes: Sequence[BaseRoute], base: str, settings: Settings) -> dict[str, Any]:
    """Describe every operation of the API; pages for people are left out.

    Args:
        base: Where this service is.
        settings: In force, for the formats that are accepted and who needs a token.
    """
    kinds = list(_kinds())
    references, found = msgspec.json.schema_components([*kinds, Problem, Fault], ref_template=REF)
    for component in found.values():
        component["description"] = str(component.get("description", "")).partition("\n")[0]
    found |= deepcopy(components(settings))
    describe_fields(found)
    name_items(found)
    writer = _Writer(dict(zip(map(str, kinds), references, strict=False)), base)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        if isinstance(route, Route) and not route.path.startswith(FOR_PEOPLE):
            for method in sorted((route.methods or set()) - {"HEAD"}):
                paths.setdefault(plain_path(route), {})[method.lower()] = writer.describe(route, method)
    words = table("rest")
    open_to_all: list[dict[str, Any]] = [{}] if settings.auth.mode == "local" else []
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Glance Fetcher",
            "version": __version__,
            "description": words["about"],
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": base}],
        "security": [{"token": []}, {"bearer": []}, *open_to_all],
        "tags": [{"name": name, "description": text} for name, text in words["tags"].items()],
        "paths": paths,
        "components": {
            "schemas": found,
            "examples": writer.examples,
            "securitySchemes": {
                "token": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "X-Auth-Token",
                    "description": words["token"],
                },
                "bearer": {"type": "http", "scheme": "bearer", "description": words["bearer"]},
            },
        },
    }


def plain_path(route: Route) -> str:
    """Return a route's path as OpenAPI writes it: without the kinds of its parameters."""
    return re.sub(r":\w+\}", "}", route.path)


def _kinds() -> Iterator[Any]:
    for operation in (*OPERATIONS.values(), *BY_PATH.values()):
        for kind in (*operation.answers.values(), *operation.bodies.values()):
            if isinstance(kind, type):
                yield kind


class _Writer:
    """Writes operations, and collects the examples of errors that they refer to.

    Args:
        references: To the components of types, by the types' names.
        base: Where this service is.
    """

    def __init__(self, references: dict[str, Any], base: str) -> None:
        self._references = references
        self._base = base
        self.examples: dict[str, Any] = {}

    def describe(self, route: Route, method: str) -> dict[str, Any]:
        """Describe one operation."""
        operation = operation_of(route)
        summary, description = of_operation(route)
        example = recorded(self._base).get(f"{method} {plain_path(route)}", {})
        found: dict[str, Any] = {
            "operationId": f"{method.lower()}{re.sub(r'[^0-9A-Za-z]+', '_', route.path)}",
            "summary": summary,
            "description": description,
            "tags": [operation.tag],
            "parameters": [*_parameters(route, operation, example.get("path", {}))],
            "responses": self._responses(route, operation, example.get("responses", {})),
        }
        if operation.bodies:
            sent = example.get("request", {})
            content = {
                media: self._content(kind, sent.get(media)) for media, kind in operation.bodies.items()
            }
            found["requestBody"] = {"required": True, "content": content}
        if operation.is_open:
            found["security"] = [{}]
        return found

    def _responses(self, route: Route, operation: Operation, examples: dict[str, Any]) -> dict[str, Any]:
        answers = {
            str(status): self._answer(status, kind, examples.get(str(status)))
            for status, kind in operation.answers.items()
        }
        problems = self._problems(operation, is_v2=route.path.startswith("/v2/"))
        return {**answers, **{status: answer for status, answer in problems if status not in answers}}

    def _answer(self, status: int, kind: Any, example: Any) -> dict[str, Any]:
        answer: dict[str, Any] = {"description": table("rest")["statuses"][str(status)]}
        if isinstance(kind, str):
            content = {"schema": _MEDIA.get(kind, _TEXT)}
            return answer | {
                "content": {kind: content if example is None else {**content, "example": example}}
            }
        return answer if kind is None else answer | {"content": {JSON: self._content(kind, example)}}

    def _content(self, kind: Any, example: Any) -> dict[str, Any]:
        content: dict[str, Any] = {} if example is None else {"example": example}
        if kind is None:
            return {"schema": _BYTES, **content}
        if isinstance(kind, Named):
            return {"schema": {"$ref": REF.format(name=kind.name)}, **content}
        schema = self._references[str(kind)] if isinstance(kind, type) else {"type": "object"}
        return {"schema": schema, **content}

    def _problems(self, operation: Operation, *, is_v2: bool) -> Iterator[tuple[str, dict[str, Any]]]:
        by_status: dict[int, list[type[Failure]]] = {}
        anywhere = OPEN_TO_ALL if operation.is_open else ANYWHERE
        for kind in dict.fromkeys((*anywhere, *operation.ends_in)):
            by_status.setdefault((status_of_fault if is_v2 else status_of_kind)(kind), []).append(kind)
        name, media = ("Fault", JSON) if is_v2 else ("Problem", "application/problem+json")
        for status, kinds in sorted(by_status.items()):
            words = " ".join(f"`{kind.code}`: {summary(kind)}" for kind in kinds)
            examples = {kind.code: self._example_of(kind, is_v2=is_v2) for kind in kinds}
            content = {media: {"schema": {"$ref": REF.format(name=name)}, "examples": examples}}
            yield str(status), {"description": words, "content": content}

    def _example_of(self, kind: type[Failure], *, is_v2: bool) -> dict[str, str]:
        name = f"{'fault' if is_v2 else 'problem'}.{kind.code}"
        self.examples[name] = {
            "summary": summary(kind),
            "value": of_failure(kind, self._base, is_v2=is_v2),
        }
        return {"$ref": f"#/components/examples/{name}"}


def _parameters(route: Route, operation: Operation, examples: dict[str, str]) -> Iterator[dict[str, Any]]:
    for name in route.param_convertors:
        found = {"name": name, "in": "path", "required": True, "schema": operation.path.get(name, _TEXT)}
        found["description"] = of_path_parameter(route, name)
        yield found | ({"example": examples[name]} if name in examples else {})
    for where, parameters in (("query", operation.query), ("header", operation.headers)):
        for name, schema, words in parameters:
            yield {"name": name, "in": where, "schema": schema, "description": words}


def text_of(routes: Sequence[BaseRoute], settings: Settings) -> bytes:
    """Return the document with `NO_BASE` where the service's own address belongs."""
    return json.dumps(api_document(routes, NO_BASE, settings), ensure_ascii=False).encode()
