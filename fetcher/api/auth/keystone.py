"""Keystone v3: asks whose a token is, and remembers the answer for a short time.

This is the one way to the network beside the gate: it leads to the one
address that the operator configured, and nothing of a submission reaches it.
"""

import asyncio
import hashlib
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import structlog
from keystoneauth1 import exceptions
from keystoneauth1.identity import v3
from keystoneauth1.session import Session
from msgspec import Meta
from starlette.requests import Request

from fetcher import __version__
from fetcher.api.auth.identity import actor_of, check_token, token_of
from fetcher.errors import Failure, Forbidden, IdentityUnavailable, Unauthenticated
from fetcher.model import Actor
from fetcher.settings.auth import Keystone as Section
from fetcher.transport import system_authorities

log = structlog.get_logger()

MAX_REMEMBERED = 20_000
MAX_ASKED_AT_ONCE = 256
THREADS = 8


class Named(msgspec.Struct, frozen=True):
    """Something with an id and a name, of which one may be missing."""

    id: str = ""
    name: str = ""


class TokenDocument(msgspec.Struct, frozen=True):
    """The parts of Keystone's answer that matter here."""

    user: Named
    expires_at: Annotated[datetime, Meta(tz=True)]
    project: Named | None = None
    roles: list[Named] = []


class _Answer(msgspec.Struct, frozen=True):
    """A token that was validated, as it is remembered.

    Args:
        until: By the event loop's clock, in seconds.
        roles: All that the token has, also those that mean nothing here.
    """

    until: float
    actor: Actor | None
    failure: Failure | None
    roles: frozenset[str] = frozenset()


class Keystone:
    """Validates tokens with the service's own account.

    Requests with the same token wait for one question together. A token is
    remembered by its SHA-256 only. An expired token that comes beside a valid
    service token is accepted, and remembered apart: alone it is still refused.

    Source: keystonemiddleware, `service_token_roles`; Keystone's API, `allow_expired`.
    """

    def __init__(self, settings: Section) -> None:
        self._settings = settings
        self._session = open_session(settings)
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="keystone")
        self._opener: OrderedDict[bytes, _Answer] = OrderedDict()
        self._asking: dict[bytes, asyncio.Task[_Answer]] = {}

    async def __call__(self, request: Request) -> Actor:
        """Name whose token it is.

        Raises:
            Unauthenticated: Keystone does not know one of the tokens, or it has expired.
            Forbidden: It is scoped to no project, or has no role here.
            IdentityUnavailable: Keystone cannot be asked.
        """
        token = token_of(request)
        has_service = await self._has_service(request)
        answer = await self._answer(token, allow_expired=has_service)
        if answer.actor is None:
            assert answer.failure is not None
            raise type(answer.failure)(**answer.failure.fields())
        if has_service or self._is_service(answer):
            return msgspec.structs.replace(answer.actor, is_service=True)
        return answer.actor

    async def _has_service(self, request: Request) -> bool:
        """Return whether a valid token of another service stands beside the user's."""
        sent = request.headers.get("x-service-token")
        if sent is None:
            return False
        answer = await self._answer(check_token(sent), allow_expired=False)
        if isinstance(answer.failure, Unauthenticated):
            raise Unauthenticated
        return self._is_service(answer)

    def _is_service(self, answer: _Answer) -> bool:
        return not answer.roles.isdisjoint(self._settings.service_token_roles)

    async def _answer(self, token: str, *, allow_expired: bool) -> _Answer:
        key = hashlib.sha256(token.encode()).digest() + (b"+" if allow_expired else b"")
        answer = self._opener.get(key)
        if answer is None or answer.until <= asyncio.get_running_loop().time():
            answer = await self._ask_once(key, token, allow_expired=allow_expired)
        return answer

    async def service_token(self) -> str | None:
        """Return a token of this service's own account.

        Raises:
            IdentityUnavailable: Keystone gives none.
        """
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._own_token)

    def _own_token(self) -> str | None:
        try:
            token: str | None = self._session.get_token()
        except (exceptions.ClientException, OSError) as error:
            log.warning("keystone.away", error=repr(error))
            raise IdentityUnavailable from error
        return token

    def close(self) -> None:
        """End the threads and the connections."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._session.session.close()

    async def _ask_once(self, key: bytes, token: str, *, allow_expired: bool) -> _Answer:
        asking = self._asking.get(key)
        if asking is None:
            if len(self._asking) >= MAX_ASKED_AT_ONCE:
                raise IdentityUnavailable
            asking = asyncio.create_task(self._ask(key, token, allow_expired=allow_expired))
            self._asking[key] = asking
            asking.add_done_callback(lambda task: self._asked(key, task))
        return await asyncio.shield(asking)

    def _asked(self, key: bytes, task: asyncio.Task[_Answer]) -> None:
        del self._asking[key]
        if not task.cancelled():
            task.exception()  # Seen, even when everybody who asked has gone.

    async def _ask(self, key: bytes, token: str, *, allow_expired: bool) -> _Answer:
        loop = asyncio.get_running_loop()
        document = await loop.run_in_executor(self._pool, self._fetch, token, allow_expired)
        answer = self._judge(document, loop.time(), allow_expired=allow_expired)
        self._opener[key] = answer
        self._opener.move_to_end(key)
        while len(self._opener) > MAX_REMEMBERED:
            self._opener.popitem(last=False)
        return answer

    def _judge(self, document: TokenDocument | None, now: float, *, allow_expired: bool) -> _Answer:
        """Make of Keystone's answer what is remembered."""
        refused = now + self._settings.refused_seconds
        if document is None:
            return _Answer(refused, None, Unauthenticated())
        left = (document.expires_at - datetime.now(UTC)).total_seconds()
        if left <= 0 and not allow_expired:
            return _Answer(refused, None, Unauthenticated())
        seconds = self._settings.cache_seconds
        until = now + (seconds if left <= 0 else min(seconds, left))
        roles = frozenset(role.name for role in document.roles)
        try:
            return _Answer(until, _actor(document), None, roles)
        except Forbidden as failure:
            return _Answer(refused, None, failure, roles)

    def _fetch(self, token: str, allow_expired: bool) -> TokenDocument | None:
        """Ask Keystone; blocks, so it runs in a thread. None for a token that it does not know.

        Raises:
            IdentityUnavailable: No answer that says whose the token is.
        """
        try:
            answer = self._session.get(
                f"{self._settings.auth_url.rstrip('/')}/auth/tokens?nocatalog"
                + ("&allow_expired=true" if allow_expired else ""),
                headers={"X-Subject-Token": token, "Accept": "application/json"},
                authenticated=True,
                raise_exc=False,
                redirect=False,
            )
            if answer.status_code == 404:
                return None
            if answer.status_code == 200:
                return msgspec.json.decode(answer.content, type=dict[str, TokenDocument])["token"]
        except (exceptions.ClientException, msgspec.DecodeError, KeyError, ValueError, OSError) as error:
            log.warning("keystone.away", error=repr(error))
            raise IdentityUnavailable from error
        log.warning("keystone.refused", status=answer.status_code)
        raise IdentityUnavailable


def _actor(document: TokenDocument) -> Actor:
    if document.project is None:
        raise Forbidden(reason="the token is not scoped to a project")
    return actor_of(document.project.id, document.user.id, [role.name for role in document.roles])


def open_session(settings: Section, *, is_system: bool = False) -> Any:
    """Return a session of the service's own account, in its project or on the whole system."""
    password = settings.password or Path(settings.password_file).read_text("utf-8").strip()
    scope: dict[str, Any] = {"system_scope": "all"}
    if not is_system:
        scope = {"project_name": settings.project, "project_domain_id": settings.project_domain_id}
    account = v3.Password(
        auth_url=settings.auth_url,
        username=settings.username,
        password=password,
        user_domain_id=settings.user_domain_id,
        **scope,
    )
    session = Session(
        auth=account,
        verify=settings.ca_file or machine_authorities(),
        timeout=settings.timeout_seconds,
        app_name="glance-fetcher",
        app_version=__version__,
        redirect=False,
    )
    session.session.trust_env = False  # Its proxies and authorities would be another configuration.
    return session


def machine_authorities() -> str:
    """Return the machine's authorities: a file, or a folder; requests would bring a list of its own."""
    file, folder = system_authorities()
    return file if Path(file).is_file() else folder
