"""Changes to images on the page: rename, tag, describe, share, protect, delete; one or several at once."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import Response

from fetcher.api.auth.identity import require_role
from fetcher.api.image_v2.attributes import check_right, check_value
from fetcher.api.image_v2.resources.images import touch
from fetcher.api.image_v2.resources.patch import Change, apply_changes
from fetcher.api.page.render import page
from fetcher.api.page.session import Visitor, read_choice, read_form
from fetcher.api.page.shown import see_other, shown
from fetcher.api.services import services_of
from fetcher.errors import Failure, InvalidRequest
from fetcher.model import Actor, Image, Member

ACTIONS = ("delete", "protect", "unprotect", "private", "shared", "community", "public", "tag", "untag")
MAX_AT_ONCE = 200

Edit = Callable[[Image], list[Change]]


@shown
async def edit(request: Request, visitor: Visitor) -> Response:
    """`POST /page/images/{id}/edit`: take the form of an image's page."""
    form = await read_form(request)
    require_role(visitor.actor, "member")
    image_id = request.path_params["id"]
    description = form.get("description", "").strip()
    changes = [
        Change(operation="replace", name="name", value=form.get("name", "").strip() or None),
        Change(operation="replace", name="visibility", value=form.get("visibility", "")),
        Change(operation="replace", name="protected", value=form.get("protected") == "yes"),
        Change(operation="replace", name="os_hidden", value=form.get("hidden") == "yes"),
        Change(operation="replace", name="tags", value=split(form.get("tags", ""))),
    ]

    def changed(image: Image) -> list[Change]:
        if description:
            return [*changes, Change(operation="add", name="description", value=description)]
        is_there = "description" in image.properties
        return [*changes, Change(operation="remove", name="description")] if is_there else changes

    image = await _apply(request, visitor.actor, image_id, changed)
    await _share(request, visitor.actor, image, split(form.get("members", "")))
    return see_other(f"/page/images/{image_id}")


@shown
async def several(request: Request, visitor: Visitor) -> Response:
    """`POST /page/images/bulk`: do one thing to all chosen images; deleting asks once more."""
    form, chosen = await read_choice(request, "image")
    require_role(visitor.actor, "member")
    action, tag = form.get("action", ""), form.get("tag", "").strip()
    _check(action, tag, chosen)
    services = services_of(request)
    if action == "delete" and form.get("sure") != "yes":
        images = [await services.index.images.find(image_id, visitor.actor) for image_id in chosen]
        return page("bulk-delete.html", visitor, images=images)
    failures: list[tuple[str, str]] = []
    for image_id in chosen:
        try:
            await _act(request, visitor.actor, image_id, action, tag)
        except Failure as failure:
            failures.append((image_id, str(failure.public())))
    if not failures:
        return see_other("/page/images")
    return page("bulk-failed.html", visitor, status=409, failures=failures, done=len(chosen) - len(failures))


def _check(action: str, tag: str, chosen: list[str]) -> None:
    if action not in ACTIONS:
        raise InvalidRequest(field="action", reason="choose what to do with the images")
    if not 1 <= len(chosen) <= MAX_AT_ONCE:
        raise InvalidRequest(field="image", reason=f"choose between 1 and {MAX_AT_ONCE} images")
    if action in {"tag", "untag"} and not tag:
        raise InvalidRequest(field="tag", reason="enter the tag to add or remove")


async def _act(request: Request, actor: Actor, image_id: str, action: str, tag: str) -> None:
    if action == "delete":
        await services_of(request).importer.delete_image(image_id, actor)
        return

    def changed(image: Image) -> list[Change]:
        if action in {"protect", "unprotect"}:
            return [Change(operation="replace", name="protected", value=action == "protect")]
        if action in {"tag", "untag"}:
            tags = {*image.tags, tag} if action == "tag" else {*image.tags} - {tag}
            return [Change(operation="replace", name="tags", value=sorted(tags))]
        return [Change(operation="replace", name="visibility", value=action)]

    await _apply(request, actor, image_id, changed)


async def _apply(request: Request, actor: Actor, image_id: str, edit: Edit) -> Image:
    """Change an image as the Image API would."""
    services = services_of(request)
    settings = services.current.settings

    def change(image: Image) -> Image:
        changes = [_checked(one) for one in edit(image)]
        after = apply_changes(image, changes, actor, settings)
        return image if after == image else touch(after)

    def _checked(one: Change) -> Change:
        if one.operation == "remove":
            return one
        value = check_value(one.name, one.value, settings)
        check_right(one.name, value, actor)
        return Change(operation=one.operation, name=one.name, value=value)

    return await services.index.images.edit(image_id, actor, change)


async def _share(request: Request, actor: Actor, image: Image, wanted: list[str]) -> None:
    """Make the projects of the form those that the image is shared with."""
    if image.visibility != "shared":
        return
    services = services_of(request)
    members = services.index.members
    known = {member.member_id for member in await members.all(image.id, actor)}
    now = datetime.now(UTC)
    steps: list[Awaitable[object]] = [
        members.add(
            Member(image_id=image.id, member_id=project, status="pending", created_at=now, updated_at=now),
            actor,
            max_members=services.current.settings.image_api.max_members,
        )
        for project in wanted
        if project not in known and len(project) <= 255
    ]
    steps += [members.remove(image.id, project, actor) for project in sorted(known - {*wanted})]
    for step in steps:
        await step


def split(text: str) -> list[str]:
    """Split what stands between commas or on lines of its own."""
    parts = (part.strip() for line in text.splitlines() for part in line.split(","))
    return list(dict.fromkeys(part for part in parts if part))
