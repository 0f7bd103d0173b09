"""Signed statements on images, and the public keys that they are checked with."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fetcher.api.json_answers import JsonAnswer
from fetcher.api.problems import base_url
from fetcher.api.services import services_of
from fetcher.attest.dsse import MEDIA_TYPE
from fetcher.errors import NotFound

PEM_TYPE = "application/x-pem-file"


class KeyAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A public key that statements on images are checked with.

    Args:
        key_id: The sha256 of the key in DER form.
    """

    key_id: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    algorithm: Literal["ed25519", "ecdsa-p256-sha256", "ecdsa-p384-sha384"]
    pem: str
    created_at: datetime
    retired_at: datetime | None
    link: str


class KeysAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Every key that has signed here, the newest first."""

    keys: list[KeyAnswer]


async def attestation(request: Request) -> Response:
    """`GET /imports/{id}/attestation`: a signed statement of where its bytes came from (DSSE, in-toto)."""
    services = services_of(request)
    actor = await services.identify(request)
    record = await services.importer.find(request.path_params["id"], actor)
    return Response(await services.attestor.of_image(record.image_id, actor), media_type=MEDIA_TYPE)


async def keys(request: Request) -> Response:
    """`GET /keys`: the public keys that signed statements on images are checked with."""
    base = base_url(request)
    found = await services_of(request).attestor.keys()
    shown: list[dict[str, Any]] = [
        {**msgspec.to_builtins(key), "link": f"{base}/keys/{key.key_id}"} for key in found
    ]
    return JsonAnswer({"keys": shown})


async def key(request: Request) -> Response:
    """`GET /keys/{id}`: one of them as a file in PEM; `current` is the one that signs now."""
    wanted = request.path_params["id"]
    found = await services_of(request).attestor.keys()
    for one in found:
        if wanted == one.key_id or (wanted == "current" and one.retired_at is None):
            return Response(one.pem, media_type=PEM_TYPE)
    raise NotFound(what=request.url.path)


routes = [
    Route("/imports/{id}/attestation", attestation, methods=["GET"]),
    Route("/keys", keys, methods=["GET"]),
    Route("/keys/{id}", key, methods=["GET"]),
]
