"""Imports as tasks: what they are doing, and how they ended."""

from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fetcher.api.image_v2.answers import Answer, enter, enter_image
from fetcher.api.image_v2.resources.listing import read_limit, read_sort
from fetcher.api.image_v2.resources.record import TASK_STATUS, task_methods, task_view
from fetcher.errors import InvalidRequest
from fetcher.index.values import TASK_ORDERS, Rows, TaskQuery
from fetcher.lifecycle import State

TYPE = "api_image_import"


async def listing(request: Request) -> Response:
    """`GET /v2/tasks`: the project's imports, newest first unless asked otherwise."""
    services, actor = await enter(request)
    params = request.query_params
    (sort_key, is_descending), *_ = read_sort(params, tuple(TASK_ORDERS))
    limit = read_limit(params.get("limit"), services.current.settings)
    query = TaskQuery(
        methods=task_methods() if params.get("type", TYPE) == TYPE else (),
        states=_states(params.get("status")),
        sort_key=sort_key,
        is_descending=is_descending,
        limit=limit,
        max_bytes=services.current.settings.server.max_answer_bytes,
        marker=params.get("marker"),
    )
    records = await services.index.tasks.page(actor, query) if limit and query.methods else Rows()
    kept = [(key, value) for key, value in params.multi_items() if key != "marker"]
    document: dict[str, Any] = {
        "tasks": [
            task_view(services.importer.snapshot(record), services.current.settings) for record in records
        ],
        "first": f"/v2/tasks?{urlencode(kept)}" if kept else "/v2/tasks",
        "schema": "/v2/schemas/tasks",
    }
    if records and (records.has_more or len(records) == limit):
        document["next"] = f"/v2/tasks?{urlencode([*kept, ('marker', records[-1].id)])}"
    return Answer(document)


def _states(status: str | None) -> tuple[State, ...] | None:
    if status is None:
        return None
    states = tuple(state for state, shown in TASK_STATUS.items() if shown == status)
    if not states:
        known = ", ".join(dict.fromkeys(TASK_STATUS.values()))
        raise InvalidRequest(field="status", reason=f"a task's status is one of {known}")
    return states


async def show(request: Request) -> Response:
    """`GET /v2/tasks/{id}`."""
    services, actor = await enter(request)
    record = await services.index.tasks.find(request.path_params["id"], actor, task_methods())
    return Answer(task_view(services.importer.snapshot(record), services.current.settings))


async def create(request: Request) -> Response:
    """`POST /v2/tasks`: refused; what makes a task is an import."""
    await enter(request, "member")
    raise InvalidRequest(reason="tasks are not made directly; POST /v2/images/ID/import makes one")


async def of_image(request: Request) -> Response:
    """`GET /v2/images/{id}/tasks`: the image's imports, newest first."""
    services, actor = await enter_image(request)
    image = await services.index.images.find(request.path_params["id"], actor)
    most = services.current.settings.server.max_page_items
    query = TaskQuery(methods=task_methods(), image_id=image.id, limit=most)
    records = await services.index.tasks.page(actor, query)
    tasks = [task_view(services.importer.snapshot(record), services.current.settings) for record in records]
    return Answer({"tasks": tasks, "schema": "/v2/schemas/tasks"})


routes = [
    Route("/v2/tasks", listing, methods=["GET"]),
    Route("/v2/tasks", create, methods=["POST"]),
    Route("/v2/tasks/{id}", show, methods=["GET"]),
    Route("/v2/images/{id}/tasks", of_image, methods=["GET"]),
]
