"""A look at a source before it is submitted."""

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fetcher.api.auth.identity import require_role
from fetcher.api.body import read_json
from fetcher.api.json_answers import JsonAnswer
from fetcher.api.services import services_of
from fetcher.api.submit.submit_body import SubmitBody
from fetcher.importer.probing.probe import Probed


async def probe(request: Request) -> Response:
    """`POST /imports/probe`: ask a source as an import would, take at most 64 KiB, and import nothing."""
    services = services_of(request)
    actor = await services.identify(request)
    require_role(actor, "member")
    body = await read_json(request, SubmitBody)
    submission = await body.resolved(actor, services.current.settings, services.catalogues)
    found = await services.importer.probe(actor, submission)
    return JsonAnswer(probe_view(found), headers={"Cache-Control": "no-store"})


def probe_view(found: Probed) -> dict[str, Any]:
    """Show a look, as a submitter may see it: URLs and statuses, never addresses."""
    return {
        "accepted": not found.refusals,
        "url": found.url,
        "redirects": [{"url": hop.url, "status": hop.status} for hop in found.hops],
        "name": found.name,
        "size": found.declared_bytes,
        "resumable": found.is_resumable,
        "content_coding": found.coding,
        "format": msgspec.to_builtins(found.format),
        "digest": None if found.digest is None else str(found.digest),
        "refusals": msgspec.to_builtins(found.refusals),
        "checksum_file": None
        if found.beside is None
        else {"url": found.beside.url, "name": found.beside.name, "digest": str(found.beside.digest)},
    }


routes = [Route("/imports/probe", probe, methods=["POST"])]
