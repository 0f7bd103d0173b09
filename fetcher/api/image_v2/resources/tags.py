"""Tags of an image, one at a time."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fetcher.api.image_v2.answers import enter_image, no_content
from fetcher.api.image_v2.attributes import check_value
from fetcher.api.image_v2.resources.images import touch
from fetcher.errors import NotFound
from fetcher.model import Image


async def add_tag(request: Request) -> Response:
    """`PUT /v2/images/{id}/tags/{tag}`."""
    services, actor = await enter_image(request, "member")
    tag, settings = request.path_params["tag"], services.current.settings

    def edit(image: Image) -> Image:
        tags = check_value("tags", [*image.tags, tag], settings)
        return image if tags == image.tags else touch(msgspec.structs.replace(image, tags=tags))

    await services.index.images.edit(request.path_params["id"], actor, edit)
    return no_content()


async def remove_tag(request: Request) -> Response:
    """`DELETE /v2/images/{id}/tags/{tag}`."""
    services, actor = await enter_image(request, "member")
    tag = request.path_params["tag"]

    def edit(image: Image) -> Image:
        if tag not in image.tags:
            raise NotFound(what=f"tag {tag[:255]}")
        tags = tuple(other for other in image.tags if other != tag)
        return touch(msgspec.structs.replace(image, tags=tags))

    await services.index.images.edit(request.path_params["id"], actor, edit)
    return no_content()


routes = [
    Route("/v2/images/{id}/tags/{tag:path}", add_tag, methods=["PUT"]),
    Route("/v2/images/{id}/tags/{tag:path}", remove_tag, methods=["DELETE"]),
]
