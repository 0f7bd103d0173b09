"""Answers in JSON, written by msgspec."""

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from fetcher.api.auth.identity import require_role
from fetcher.api.services import Services, services_of
from fetcher.model import Actor


class Answer(Response):
    """A JSON document."""

    media_type = "application/json"

    def __init__(self, document: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(msgspec.json.encode(document), status, headers)


def no_content(status: int = 204, headers: Mapping[str, str] | None = None) -> Response:
    """An answer without a body."""
    return Response(status_code=status, headers=headers)


async def enter(request: Request, role: str = "reader") -> tuple[Services, Actor]:
    """Let a caller in who has the role.

    Raises:
        Unauthenticated: It is not known who calls.
        Forbidden: The role is missing.
    """
    services = services_of(request)
    actor = await services.identify(request)
    require_role(actor, role)
    return services, actor
