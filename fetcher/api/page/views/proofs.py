"""Proofs of where an image came from, and links to hand on: parts of an image's page."""

import base64
from contextlib import suppress
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from fetcher.api.page.render import page
from fetcher.api.page.session import Visitor, read_form
from fetcher.api.page.shown import shown
from fetcher.api.problems import base_url
from fetcher.api.services import services_of
from fetcher.api.submit.links import make_link
from fetcher.attest.dsse import MEDIA_TYPE
from fetcher.errors import Conflict, Failure, InvalidRequest, NoAttestation
from fetcher.model import Image, Import, Status


class Attested(msgspec.Struct, frozen=True, kw_only=True):
    """A signed statement, for people.

    Args:
        signer: The key that signed it; empty where it cannot be signed now.
        trouble: Why there is none now.
    """

    signer: str = ""
    digests: dict[str, str] = {}
    verified_by: str | None = None
    trouble: str = ""
    lines: list[tuple[str, str]] = []


async def attested(
    request: Request, visitor: Visitor, image: Image, made_by: Import | None
) -> Attested | None:
    """Return the statement on an image; None where there is none."""
    if image.status is not Status.ACTIVE:
        return None
    try:
        text = await services_of(request).attestor.of_image(image.id, visitor.actor)
    except NoAttestation:
        return None
    except Failure as failure:
        return Attested(trouble=str(failure.public()))
    envelope = msgspec.json.decode(text)
    statement = msgspec.json.decode(base64.b64decode(envelope["payload"]))
    file, server = f"{image.id}.att", f"--server {base_url(request)}"
    return Attested(
        signer=envelope["signatures"][0]["keyid"],
        digests=statement["subject"][0]["digest"],
        verified_by=made_by.verified_by if made_by else None,
        lines=[
            ("key", f"fetcher keys show {server} > fetcher.pem"),
            ("file", f"fetcher images save {image.id} -o disk.img {server}"),
            ("statement", f"fetcher images attestation {image.id} -o {file} {server}"),
            ("verify", f"fetcher verify disk.img {file} --key fetcher.pem"),
        ],
    )


@shown
async def attestation(request: Request, visitor: Visitor) -> Response:
    """`GET /page/images/{id}/attestation`: the statement as a file, for a browser with a cookie."""
    image_id = request.path_params["id"]
    text = await services_of(request).attestor.of_image(image_id, visitor.actor)
    headers = {"Content-Disposition": f'attachment; filename="{image_id}.att"', "Cache-Control": "no-store"}
    return Response(text, headers=headers, media_type=MEDIA_TYPE)


@shown
async def provenance(request: Request, visitor: Visitor) -> Response:
    """`GET /page/imports/{id}/provenance`: the service's own record, for a browser with a cookie."""
    import_id = request.path_params["id"]
    document = await services_of(request).index.imports.provenance(import_id, visitor.actor)
    if document is None:
        raise Conflict(reason="the import has made no image, so nothing has a provenance")
    headers = {"Content-Disposition": f'attachment; filename="{import_id}.json"', "Cache-Control": "no-store"}
    return Response(msgspec.json.encode(document), headers=headers, media_type="application/json")


@shown
async def link(request: Request, visitor: Visitor) -> Response:
    """`POST /page/images/{id}/links`: make a link, and show it this once."""
    form = await read_form(request)
    services = services_of(request)
    hours: Any = None
    if text := form.get("hours", "").strip():
        with suppress(ValueError):
            hours = float(text.replace(",", "."))
        if hours is None:
            raise InvalidRequest(field="hours", reason="Hours must be a number, such as 24")
    made = await make_link(request, services, visitor.actor, None if hours is None else hours * 3600)
    image = await services.index.images.find(made.image_id, visitor.actor)
    return page("link.html", visitor, image=image, link=made)
