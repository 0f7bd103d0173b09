"""JSON schemas of metadata definitions; clients build their classes from them."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fetcher.api.image_v2.answers import Answer, enter_known
from fetcher.api.image_v2.schemas import Schema, collection, text
from fetcher.errors import NotFound

TYPES = ["array", "boolean", "integer", "number", "object", "string", None]
COUNT = {"$ref": "#/definitions/positiveInteger"}
COUNT_FROM_0 = {"$ref": "#/definitions/positiveIntegerDefault0"}
STRINGS = {"$ref": "#/definitions/stringArray"}
PROPERTIES = {"$ref": "#/definitions/property"}
COUNTS: Schema = {
    "positiveInteger": {"type": "integer", "minimum": 0},
    "positiveIntegerDefault0": {"allOf": [COUNT, {"default": 0}]},
    "stringArray": {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
}


def _type() -> Schema:
    return {"type": "string", "enum": TYPES}


def _property() -> Schema:
    values = {"enum": {"type": "array"}, "type": _type()}
    return {
        "name": {"type": "string", "maxLength": 80},
        "title": {"type": "string"},
        "description": {"type": "string"},
        "operators": {"type": "array", "items": {"type": "string"}},
        "type": _type(),
        "required": STRINGS,
        "minimum": {"type": "number"},
        "maximum": {"type": "number"},
        "maxLength": COUNT,
        "minLength": COUNT_FROM_0,
        "pattern": {"type": "string", "format": "regex"},
        "enum": {"type": "array"},
        "readonly": {"type": "boolean"},
        "default": {},
        "items": {"type": "object", "properties": values},
        "maxItems": COUNT,
        "minItems": COUNT_FROM_0,
        "uniqueItems": {"type": "boolean", "default": False},
        "additionalItems": {"type": "boolean"},
    }


def _definitions() -> Schema:
    one = {"type": "object", "required": ["title", "type"], "properties": _property()}
    return {**COUNTS, "property": {"type": "object", "additionalProperties": one}}


def _moment(description: str) -> Schema:
    return text(description, readOnly=True, format="date-time")


def _link() -> Schema:
    return {"type": "string", "readOnly": True}


def _closed(name: str, properties: Schema, required: list[str], **more: Any) -> Schema:
    return {
        "name": name,
        "properties": properties,
        "required": required,
        "additionalProperties": False,
        **more,
    }


def association_schema() -> Schema:
    """Describe a resource type that a namespace is for."""
    properties = {
        "name": text("A resource type, named as in Heat where it is known there", maxLength=80),
        "prefix": text(
            "Stands before a property's name on this resource type, separator and all", maxLength=80
        ),
        "properties_target": text(
            "Which of a resource's kinds of metadata is meant, such as image", maxLength=80
        ),
        "created_at": _moment("Date and time of resource type association"),
        "updated_at": _moment("Date and time of the last change of the association"),
    }
    return _closed("resource_type_association", properties, ["name"])


def property_schema() -> Schema:
    """Describe a property."""
    return _closed("property", _property(), ["type", "title", "name"], definitions=COUNTS)


def object_schema() -> Schema:
    """Describe an object."""
    properties = {
        "name": {"type": "string", "maxLength": 80},
        "description": {"type": "string"},
        "required": STRINGS,
        "properties": PROPERTIES,
        "created_at": _moment("Date and time of object creation"),
        "updated_at": _moment("Date and time of the last object modification"),
        "self": _link(),
        "schema": _link(),
    }
    return _closed("object", properties, ["name"], definitions=_definitions())


def tag_schema() -> Schema:
    """Describe a tag."""
    properties = {
        "name": {"type": "string", "maxLength": 80},
        "created_at": _moment("Date and time of tag creation"),
        "updated_at": _moment("Date and time of the last tag modification"),
    }
    return _closed("tag", properties, ["name"])


def namespace_schema() -> Schema:
    """Describe a namespace with everything in it."""
    item = {"type": "object", "properties": {"name": {"type": "string"}}}
    association = {key: {"type": "string"} for key in ("name", "prefix", "properties_target")}
    inner = {
        "name": {"type": "string"},
        "description": {"type": "string"},
        "required": STRINGS,
        "properties": PROPERTIES,
    }
    properties = {
        "namespace": text("The unique namespace text.", maxLength=80),
        "display_name": text("The name of the namespace for people.", maxLength=80),
        "description": text("What the namespace is, for people.", maxLength=500),
        "visibility": text("Scope of namespace accessibility.", enum=["public", "private"]),
        "protected": {"type": "boolean", "description": "If true, namespace will not be deletable."},
        "owner": text("Owner of the namespace.", maxLength=255),
        "created_at": _moment("Date and time of namespace creation"),
        "updated_at": _moment("Date and time of the last namespace modification"),
        "self": _link(),
        "schema": _link(),
        "resource_type_associations": {
            "type": "array",
            "items": {"type": "object", "properties": association},
        },
        "properties": PROPERTIES,
        "objects": {"type": "array", "items": {"type": "object", "properties": inner}},
        "tags": {"type": "array", "items": item},
    }
    return _closed("namespace", properties, ["namespace"], definitions=_definitions())


def _collection(name: str, schema: Schema) -> Schema:
    """Describe a page; definitions stand where references look for them."""
    item = {key: value for key, value in schema.items() if key != "definitions"}
    made = collection(name, item)
    return made | ({"definitions": schema["definitions"]} if "definitions" in schema else {})


def _properties() -> Schema:
    """Describe all properties of a namespace, which are a dictionary."""
    schema = property_schema()
    made = _collection("properties", schema)
    item = {**made["properties"]["properties"]["items"], "required": ["type", "title"]}
    made["properties"]["properties"] = {"type": "object", "additionalProperties": item}
    return made


SCHEMAS: dict[str, Schema] = {
    "namespace": namespace_schema(),
    "namespaces": _collection("namespaces", namespace_schema()),
    "resource_type": association_schema(),
    "resource_types": _collection("resource_type_associations", association_schema()),
    "property": property_schema(),
    "properties": _properties(),
    "object": object_schema(),
    "objects": _collection("objects", object_schema()),
    "tag": tag_schema(),
    "tags": _collection("tags", tag_schema()),
}


async def show(request: Request) -> Response:
    """`GET /v2/schemas/metadefs/{name}`: the schema of a kind of definition, or of a list of them."""
    await enter_known(request)
    name = request.path_params["name"]
    if name not in SCHEMAS:
        raise NotFound(what=f"schema metadefs/{name[:50]}")
    return Answer(SCHEMAS[name])


routes = [Route("/v2/schemas/metadefs/{name}", show, methods=["GET"])]
