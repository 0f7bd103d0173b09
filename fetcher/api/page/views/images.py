"""Pages on images: the list with its search, and all that is known of one."""

from collections.abc import Sequence
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from fetcher.api.auth.identity import require_role
from fetcher.api.file_names import file_name
from fetcher.api.image_v2.resources.download import download as v2_download
from fetcher.api.page.render import page
from fetcher.api.page.session import Visitor, read_form, with_token
from fetcher.api.page.shown import see_other, shown
from fetcher.api.page.views.boot import boot_lines
from fetcher.api.page.views.exports import may_export
from fetcher.api.page.views.lists import read_list
from fetcher.api.page.views.proofs import attested
from fetcher.api.prefix import outside
from fetcher.api.problems import base_url
from fetcher.api.services import services_of
from fetcher.api.streams.products import is_published
from fetcher.errors import Conflict, UnknownImport
from fetcher.importer.methods.glance_direct import may_send
from fetcher.index.values import IMAGE_ORDERS
from fetcher.model import Image, Import, Status

VISIBILITIES = ("private", "shared", "community", "public")


@shown
async def listing(request: Request, visitor: Visitor) -> Response:
    """`GET /page/images`: with search, filters, orders and pages."""
    services = services_of(request)
    settings = services.current.settings
    filters: dict[str, Sequence[str]] = {
        "status": [status.value for status in Status],
        "disk_format": settings.format.disk_formats,
        "visibility": VISIBILITIES,
    }
    asked = read_list(
        request,
        orders=tuple(IMAGE_ORDERS),
        default="created",
        filters=filters,
        limit=settings.server.page_items,
    )
    found = await services.index.statistics.list_images(visitor.actor, asked.query)
    return page(
        "images.html",
        visitor,
        images=found.images,
        total=found.total,
        asked=asked,
        filters=filters,
        can_send=may_send(visitor.actor, settings),
        can_change="member" in visitor.actor.roles or visitor.actor.is_admin,
    )


@shown
async def detail(request: Request, visitor: Visitor) -> Response:
    """`GET /page/images/{id}`: digests to copy, where it came from, and the lines that boot it."""
    services = services_of(request)
    image = await services.index.images.find(request.path_params["id"], visitor.actor)
    made_by = await _import_of(request, visitor, image)
    is_own = visitor.actor.is_admin or image.project_id == visitor.actor.project_id
    is_active = image.status is Status.ACTIVE
    can_share = is_own and image.visibility == "shared"
    members = await services.index.members.all(image.id, visitor.actor) if can_share else []
    settings = services.current.settings
    running = made_by if made_by is not None and not made_by.state.is_final else None
    return page(
        "image.html",
        visitor,
        image=image,
        made_by=made_by,
        running=running,
        members=members,
        visibilities=VISIBILITIES if visitor.actor.is_admin else VISIBILITIES[:3],
        attested=await attested(request, visitor, image, made_by),
        can_link=is_own and is_active and settings.links.enabled and _is_member(visitor),
        link_hours=f"{settings.links.default_seconds / 3600:g}",
        can_export=is_own and is_active and may_export(visitor.actor, settings),
        published=outside(f"/streams/images/{image.id}.meta4")
        if settings.publish.enabled and is_published(image)
        else None,
        can_edit=is_own,
        can_delete=is_own and not image.is_protected and image.status is not Status.IMPORTING,
        lines=boot_lines(image, base_url(request), needs_token=visitor.needs_token) if is_active else [],
        download=file_name(image) if is_active else None,
    )


def _is_member(visitor: Visitor) -> bool:
    return "member" in visitor.actor.roles or visitor.actor.is_admin


async def _import_of(request: Request, visitor: Visitor, image: Image) -> Import | None:
    """Return the import that brought the bytes, if it is remembered and the visitor's to see."""
    services = services_of(request)
    try:
        found = await services.index.imports.page(visitor.actor, {"image_id": image.id}, limit=1)
    except UnknownImport:
        return None
    return services.importer.snapshot(found[0]) if found else None


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
