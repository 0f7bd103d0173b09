"""Pages on images: the list with its search, and all that is known of one."""

from http import HTTPStatus
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from fetcher.api.auth.identity import require_role
from fetcher.api.image_v2.download import download as v2_download
from fetcher.api.page.boot import boot_lines, file_name
from fetcher.api.page.render import page
from fetcher.api.page.session import Visitor, read_form, with_token
from fetcher.api.page.shown import see_other, shown
from fetcher.api.problems import base_url
from fetcher.api.services import services_of
from fetcher.errors import Conflict, UnknownImport
from fetcher.index.sqlite.statistics import ImageSearch
from fetcher.model import Image, Import, Status

FILTERS = ("status", "disk_format", "visibility")
VISIBILITIES = ("private", "shared", "community", "public")
MOST_TEXT = 255


@shown
async def listing(request: Request, visitor: Visitor) -> Response:
    """`GET /page/images`: newest first, with search, filters and pages."""
    services = services_of(request)
    settings = services.settings()
    query = request.query_params
    text = query.get("q", "").strip()[:MOST_TEXT]
    filters = {name: query[name] for name in FILTERS if query.get(name)}
    limit = settings.server.page_items
    marker = query.get("marker")
    search = ImageSearch(text=text, filters=filters, limit=limit + 1, marker=marker)
    images = await services.index.figures.find_images(visitor.actor, search)
    following = {**({"q": text} if text else {}), **filters}
    older = urlencode({**following, "marker": images[limit - 1].id}) if len(images) > limit else None
    return page(
        "images.html",
        visitor,
        images=images[:limit],
        text=text,
        filters={name: filters.get(name, "") for name in FILTERS},
        statuses=[status.value for status in Status],
        disk_formats=settings.format.disk_formats,
        visibilities=VISIBILITIES,
        older=older,
        is_first=marker is None,
    )


@shown
async def detail(request: Request, visitor: Visitor) -> Response:
    """`GET /page/images/{id}`: digests to copy, where it came from, and the lines that boot it."""
    services = services_of(request)
    image = await services.index.images.find(request.path_params["id"], visitor.actor)
    made_by = await _import_of(request, visitor, image)
    is_own = visitor.actor.is_admin or image.project_id == visitor.actor.project_id
    is_active = image.status is Status.ACTIVE
    return page(
        "image.html",
        visitor,
        image=image,
        made_by=made_by,
        can_delete=is_own and not image.is_protected and image.status is not Status.IMPORTING,
        lines=boot_lines(image, base_url(request), needs_token=visitor.needs_token) if is_active else [],
        download=file_name(image) if is_active else None,
    )


async def _import_of(request: Request, visitor: Visitor, image: Image) -> Import | None:
    """The import that brought the bytes, if it is remembered and the visitor's to see."""
    services = services_of(request)
    try:
        found = await services.index.imports.page(visitor.actor, {"image_id": image.id}, limit=1)
    except UnknownImport:
        return None
    return found[0] if found else None


@shown
async def download(request: Request, visitor: Visitor) -> Response:
    """`GET /page/images/{id}/file`: the bytes, for a browser that has a cookie and no token header."""
    image = await services_of(request).index.images.find(request.path_params["id"], visitor.actor)
    answer = await v2_download(with_token(request))
    if answer.status_code == HTTPStatus.NO_CONTENT:
        raise Conflict(reason="the image has no bytes yet")
    answer.headers["Content-Disposition"] = f'attachment; filename="{file_name(image)}"'
    answer.headers["Content-Security-Policy"] = "sandbox"
    return answer


@shown
async def delete(request: Request, visitor: Visitor) -> Response:
    """`POST /page/images/{id}/delete`: delete it, then show the list."""
    await read_form(request)
    require_role(visitor.actor, "member")
    await services_of(request).importer.delete_image(request.path_params["id"], visitor.actor)
    return see_other("/page/images")
