"""Components of the API document for the Image API: made from its schemas and what is in force."""

from typing import Any

import msgspec

from fetcher.api.image_v2.attributes import WRITABLE, accepted
from fetcher.api.image_v2.resources.patch import MAX_CHANGES, OPERATIONS
from fetcher.api.image_v2.schemas import SINGLE, UUID, collection
from fetcher.config import Settings

Schema = dict[str, Any]

# Not there in every answer.
SOMETIMES = frozenset({"stores", "first", "next", "schema"})
POINTER = r"^/([^~/]|~[01])+$"


def components(settings: Settings) -> dict[str, Schema]:
    """Return all components by name, with the formats that the operator accepts."""
    made: dict[str, Schema] = {}
    for name, schema_of in SINGLE.items():
        title, item = name.capitalize(), schema_of(settings)
        made[title] = _component(item)
        made[f"{title}s"] = _component(collection(f"{name}s", {"$ref": f"#/components/schemas/{title}"}))
    return {
        **made,
        "ImportInfo": _IMPORT_INFO,
        "Locations": {"type": "array", "items": _LOCATION},
        "NewImage": _new_image(settings),
        "Patch": _patch(_OPERATION),
        "OldPatch": _patch({"oneOf": [_old_operation(name) for name in OPERATIONS]}),
    }


def _component(schema: Schema) -> Schema:
    """One of the Image API's own schemas, without what only its clients know, and closed."""
    properties = schema["properties"]
    return {
        "type": "object",
        "properties": properties,
        "required": sorted(properties.keys() - SOMETIMES),
        "additionalProperties": schema.get("additionalProperties", False),
    }


_IMPORT_INFO: Schema = {
    "type": "object",
    "properties": {
        "import-methods": {
            "type": "object",
            "properties": {
                "description": {"type": "string"},
                "type": {"const": "array"},
                "value": {"type": "array", "items": {"type": "string"}},
            },
            "required": ["value"],
        }
    },
    "required": ["import-methods"],
    "additionalProperties": {"$ref": "#/components/schemas/LimitAnswer"},
}


_LOCATION: Schema = {
    "type": "object",
    "properties": {"url": {"type": "string"}, "metadata": {"type": "object"}},
    "required": ["url", "metadata"],
}


def _new_image(settings: Settings) -> Schema:
    properties: Schema = {"id": {"type": ["string", "null"], "pattern": UUID}}
    for name, (kind, _) in WRITABLE.items():
        schema = msgspec.json.schema(kind)
        allowed = accepted(name, settings)
        properties[name] = schema if allowed is None else {"enum": [*allowed, None]}
    value = {"type": "string", "maxLength": 65_535}
    return {"type": "object", "properties": properties, "additionalProperties": value}


def _patch(operation: Schema) -> Schema:
    return {"type": "array", "items": operation, "maxItems": MAX_CHANGES}


_OPERATION: Schema = {
    "type": "object",
    "properties": {
        "op": {"enum": list(OPERATIONS)},
        "path": {"type": "string", "pattern": POINTER},
        "value": {"description": "What the attribute is to hold; not for remove."},
    },
    "required": ["op", "path"],
}


def _old_operation(name: str) -> Schema:
    properties: Schema = {name: {"type": "string", "pattern": POINTER}, "value": {}}
    needed = [name] if name == "remove" else [name, "value"]
    return {"type": "object", "properties": properties, "required": needed, "additionalProperties": False}
