"""The signed statement on an image, beside its record."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fetcher.api.image_v2.answers import enter_image
from fetcher.attest.dsse import MEDIA_TYPE


async def attestation(request: Request) -> Response:
    """`GET /v2/images/{id}/attestation`: where the image's bytes came from, signed (DSSE, in-toto); ours."""
    services, actor = await enter_image(request)
    return Response(await services.attestor.of_image(request.path_params["id"], actor), media_type=MEDIA_TYPE)


routes = [Route("/v2/images/{id}/attestation", attestation, methods=["GET"])]
