"""The health check as load balancers in front of OpenStack services ask for it."""

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from fetcher.api.ops.health import NO_STORE, obstacles
from fetcher.api.services import services_of


async def healthcheck(request: Request) -> Response:
    """`GET /healthcheck`: `OK`, or 503 with what is wrong, one reason a line.

    Source: oslo.middleware, "Healthcheck".
    """
    reasons = await obstacles(services_of(request))
    if reasons:
        return PlainTextResponse("\n".join(reasons), 503, NO_STORE)
    return PlainTextResponse("OK", headers=NO_STORE)


routes = [Route("/healthcheck", healthcheck, methods=["GET"])]
