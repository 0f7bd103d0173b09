"""JSON schemas of what the Image API shows; clients build their classes from them."""

from typing import Any, get_args

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fetcher.api.image_v2.answers import Answer, enter_known
from fetcher.api.image_v2.resources.record import TASK_STATUS
from fetcher.config import Settings
from fetcher.errors import NotFound
from fetcher.model import MemberStatus, Visibility

UUID = "^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$"
# As the reference lists them; `killed`, `deleted` and `pending_delete` never occur here.
STATUSES = ["queued", "saving", "active", "killed", "deleted", "uploading", "importing", "pending_delete"]
STATUSES.append("deactivated")

Schema = dict[str, Any]


def text(description: str, **more: Any) -> Schema:
    """Return a string."""
    return {"type": "string", "description": description, **more}


def maybe_text(description: str, most: int, **more: Any) -> Schema:
    """Return a string or null."""
    return {"type": ["null", "string"], "description": description, "maxLength": most, **more}


def number(description: str, **more: Any) -> Schema:
    """Return a whole number."""
    return {"type": "integer", "description": description, **more}


def _choice(description: str, values: list[Any]) -> Schema:
    return {"type": ["null", "string"], "description": description, "enum": [None, *values]}


def _switch(description: str) -> Schema:
    return {"type": "boolean", "description": description}


def _ours(schema: Schema) -> Schema:
    return {**schema, "readOnly": True}


def image_schema(settings: Settings) -> Schema:
    """Return an image record; the formats are those that the operator accepts."""
    size = {"type": ["null", "integer"]}
    properties = {
        "id": text("An identifier for the image", pattern=UUID),
        "name": maybe_text("Descriptive name for the image", 255),
        "status": _ours(text("Status of the image", enum=STATUSES)),
        "visibility": text("Scope of image accessibility", enum=sorted(get_args(Visibility))),
        "protected": _switch("If true, image will not be deletable."),
        "os_hidden": _switch("If true, image will not appear in default image list response."),
        "checksum": _ours(maybe_text("md5 hash of image contents.", 32)),
        "os_hash_algo": _ours(maybe_text("Algorithm to calculate the os_hash_value", 64)),
        "os_hash_value": _ours(maybe_text("Digest of the image contents by os_hash_algo, in hex", 128)),
        "owner": maybe_text("Owner of the image", 255),
        "size": _ours({**size, "description": "Size of image file in bytes"}),
        "virtual_size": _ours({**size, "description": "Virtual size of image in bytes"}),
        "container_format": _choice("Format of the container", list(settings.format.container_formats)),
        "disk_format": _choice("Format of the disk", list(settings.format.disk_formats)),
        "created_at": _ours(text("Date and time of image registration")),
        "updated_at": _ours(text("Date and time of the last image modification")),
        "tags": {
            "type": "array",
            "description": "List of strings related to the image",
            "items": {"type": "string", "maxLength": 255},
        },
        "min_ram": number("Amount of ram (in MB) required to boot image."),
        "min_disk": number("Amount of disk space (in GB) required to boot image."),
        "self": _ours(text("An image self url")),
        "file": _ours(text("An image file url")),
        "stores": _ours(text("Store in which image data resides.")),
        "schema": _ours(text("An image schema url")),
    }
    links = [
        {"rel": "self", "href": "{self}"},
        {"rel": "enclosure", "href": "{file}"},
        {"rel": "describedby", "href": "{schema}"},
    ]
    return {
        "name": "image",
        "properties": properties,
        "additionalProperties": {"type": "string"},
        "links": links,
    }


def member_schema(_settings: Settings) -> Schema:
    """Return a project that an image is shared with."""
    properties = {
        "member_id": text("An identifier for the image member (tenantId)"),
        "image_id": text("An identifier for the image", pattern=UUID),
        "created_at": text("Date and time of image member creation"),
        "updated_at": text("Date and time of last modification of image member"),
        "status": text("The status of this image member", enum=list(get_args(MemberStatus))),
        "schema": {"type": "string", "readOnly": True},
    }
    return {"name": "member", "properties": properties}


def task_schema(_settings: Settings) -> Schema:
    """Return an import as a task."""
    document = {"type": ["null", "object"]}
    properties = {
        "id": text("An identifier for the task", pattern=UUID),
        "type": text("The type of task represented by this content", enum=["api_image_import"]),
        "status": text("The current status of this task", enum=list(dict.fromkeys(TASK_STATUS.values()))),
        "input": {**document, "description": "What was asked for; secrets in a URL are not shown"},
        "result": {
            **document,
            "description": "How far it is, in bytes and percent, and the code it ended with",
        },
        "owner": text("An identifier for the owner of this task"),
        "message": text("What it is doing, or how it ended and what to do about that"),
        "image_id": text("Image associated with the task"),
        "request_id": {"type": ["null", "string"], "description": "The request that made it"},
        "user_id": text("User associated with the task"),
        "expires_at": {
            "type": ["null", "string"],
            "description": "Datetime when this resource would be subject to removal",
        },
        "created_at": text("Datetime when this resource was created"),
        "updated_at": text("Datetime when this resource was updated"),
        "self": {"type": "string", "readOnly": True},
        "schema": {"type": "string", "readOnly": True},
    }
    return {"name": "task", "properties": properties}


def collection(name: str, item: Schema) -> Schema:
    """Return a page of items."""
    links = [{"rel": rel, "href": f"{{{rel}}}"} for rel in ("first", "next")]
    return {
        "name": name,
        "properties": {
            name: {"type": "array", "items": item},
            "first": {"type": "string"},
            "next": {"type": "string"},
            "schema": {"type": "string"},
        },
        "links": [*links, {"rel": "describedby", "href": "{schema}"}],
    }


SINGLE = {"image": image_schema, "member": member_schema, "task": task_schema}


async def show(request: Request) -> Response:
    """`GET /v2/schemas/{name}`: image, images, member, members, task, tasks."""
    services, _ = await enter_known(request)
    name = request.path_params["name"]
    if name in SINGLE:
        return Answer(SINGLE[name](services.current.settings))
    if name.endswith("s") and name[:-1] in SINGLE:
        return Answer(collection(name, SINGLE[name[:-1]](services.current.settings)))
    raise NotFound(what=f"schema {name[:50]}")


routes = [Route("/v2/schemas/{name}", show, methods=["GET"])]
