"""Words of the API document, kept as data: what each operation does and each field holds."""

import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from starlette.routing import Route

FOLDER = Path(__file__).with_name("texts")
Schema = dict[str, Any]


@cache
def table(name: str) -> dict[str, Any]:
    """Return one file of words."""
    return tomllib.loads((FOLDER / f"{name}.toml").read_text())


def of_operation(route: Route) -> tuple[str, str]:
    """Return an operation's summary and description.

    Raises:
        KeyError: The operation has no row in `operations.toml`.
    """
    handler = route.endpoint
    summary, description = table("operations")[handler.__module__.removeprefix("fetcher.api.")][
        handler.__name__
    ]
    return summary, description


def of_path_parameter(route: Route, name: str) -> str:
    """Return what a parameter in a path is."""
    words: dict[str, str] = table("rest")["parameters"]
    if name in words:
        return words[name]
    return words[max((start for start in words if route.path.startswith(start)), key=len)]


def describe_fields(components: dict[str, Schema]) -> None:
    """Give every field of every component its description, in place."""
    words = table("fields")
    for name, component in components.items():
        own: dict[str, str] = words.get(name, {})
        for field, schema in fields_of(component):
            if field in own:
                schema["description"] = own[field]
            elif "description" not in schema:
                schema["description"] = words["any"].get(field, "")


def name_items(schema: Any) -> None:
    """Say of every array whose entries are not described that they may be anything, as generators expect."""
    if isinstance(schema, dict):
        if schema.get("type") == "array":
            schema.setdefault("items", {})
        for part in schema.values():
            name_items(part)
    elif isinstance(schema, list):
        for part in schema:
            name_items(part)


def fields_of(schema: Schema) -> Iterator[tuple[str, Schema]]:
    """Find the fields of a schema, also of those within it."""
    for name, field in schema.get("properties", {}).items():
        yield name, field
        yield from fields_of(field)
    inner = [*schema.get("anyOf", ()), *schema.get("oneOf", ()), schema.get("items")]
    for part in (*inner, schema.get("additionalProperties")):
        if isinstance(part, dict):
            yield from fields_of(part)
