"""The projects that an image is shared with."""

from datetime import UTC, datetime
from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fetcher.api.image_v2.answers import Answer, enter_image, no_content
from fetcher.api.image_v2.documents import read_document
from fetcher.api.image_v2.resources.record import member_view
from fetcher.model import Member, MemberStatus


class MemberBody(msgspec.Struct, frozen=True):
    """The body of a call that shares an image: a project's id."""

    member: Annotated[str, Meta(min_length=1, max_length=255)]


class StatusBody(msgspec.Struct, frozen=True):
    """The body of a member's answer."""

    status: MemberStatus


async def listing(request: Request) -> Response:
    """`GET /v2/images/{id}/members`: all to the owner, itself to a member."""
    services, actor = await enter_image(request)
    members = await services.index.members.all(request.path_params["id"], actor)
    return Answer({"members": [member_view(member) for member in members], "schema": "/v2/schemas/members"})


async def show(request: Request) -> Response:
    """`GET /v2/images/{id}/members/{member}`."""
    services, actor = await enter_image(request)
    member = await services.index.members.find(
        request.path_params["id"], request.path_params["member"], actor
    )
    return Answer(member_view(member))


async def add(request: Request) -> Response:
    """`POST /v2/images/{id}/members`: share it; the member has to accept before it is in its list."""
    services, actor = await enter_image(request, "member")
    body = await read_document(request, MemberBody)
    member = await services.index.members.add(
        _member(request.path_params["id"], body.member, "pending"),
        actor,
        max_members=services.current.settings.image_api.max_members,
    )
    return Answer(member_view(member))


async def answer(request: Request) -> Response:
    """`PUT /v2/images/{id}/members/{member}`: the member accepts or rejects."""
    services, actor = await enter_image(request, "member")
    body = await read_document(request, StatusBody)
    member = _member(request.path_params["id"], request.path_params["member"], body.status)
    return Answer(member_view(await services.index.members.answer(member, actor)))


async def remove(request: Request) -> Response:
    """`DELETE /v2/images/{id}/members/{member}`."""
    services, actor = await enter_image(request, "member")
    await services.index.members.remove(request.path_params["id"], request.path_params["member"], actor)
    return no_content()


def _member(image_id: str, member_id: str, status: MemberStatus) -> Member:
    now = datetime.now(UTC)
    return Member(image_id=image_id, member_id=member_id, status=status, created_at=now, updated_at=now)


routes = [
    Route("/v2/images/{id}/members", listing, methods=["GET"]),
    Route("/v2/images/{id}/members", add, methods=["POST"]),
    Route("/v2/images/{id}/members/{member}", show, methods=["GET"]),
    Route("/v2/images/{id}/members/{member}", answer, methods=["PUT"]),
    Route("/v2/images/{id}/members/{member}", remove, methods=["DELETE"]),
]
