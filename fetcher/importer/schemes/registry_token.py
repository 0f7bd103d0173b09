"""Logins at a registry: the credentials that it asks for, and the token that they are exchanged for."""

import json
import re
from urllib.parse import urlencode

import msgspec

from fetcher.errors import Failure, RegistryUnusable, SourceStatus
from fetcher.guards.request.oci import check_realm
from fetcher.importer.schemes.scheme import Asked
from fetcher.transport import Answer, SourceRequest

MAX_TOKEN_BYTES = 65_536

_PARAMETER = re.compile(r'([A-Za-z_]{1,32})\s*=\s*"([^"\\]{0,4096})"')
_TOKEN = re.compile(r"[!-~]{1,32768}")


class RegistryDialect:
    """Logs in at one registry, for one repository; a token that has expired is asked for anew.

    Args:
        actions: What the token is to allow there.
        login: The submitter's Authorization, which goes to the registry's own host and to those that the
            operator names, by https; None asks as anybody.

    Source: Distribution, "Token Authentication Specification"; RFC 9110 section 11.
    """

    def __init__(self, asked: Asked, repository: str, login: str | None, actions: str = "pull") -> None:
        self._asked = asked
        self._scope = f"repository:{repository}:{actions}"
        self._registry = asked.urls.check(asked.secrets.url)
        self._login = login
        self._is_new = False
        is_token = login is not None and not login.lower().startswith("basic ")
        self._authorization = login if is_token else None

    def fields(self, _method: str, _url: str, fields: dict[str, str]) -> dict[str, str]:
        """Show the token that there is."""
        return fields if self._authorization is None else fields | {"Authorization": self._authorization}

    def accept(self) -> None:
        """Note that the registry takes what it was shown."""
        self._is_new = False

    async def consult(self, answer: Answer) -> str | None:
        """Log in where the registry asks for that, and ask again.

        Raises:
            RegistryUnusable: It wants another login, or has no such image.
            Failure: What the way to the token ends in.
        """
        if answer.status == 401:
            if self._is_new:
                raise RegistryUnusable(rule="login", reason="the registry does not accept the login")
            await self._log_in(answer.headers.get("www-authenticate", ""))
            self._is_new = True
            return answer.url
        self._is_new = False
        if answer.status == 403:
            raise RegistryUnusable(rule="login", reason="the registry refuses access to the image")
        if answer.status == 404 and "/manifests/" in answer.url:
            raise RegistryUnusable(rule="name", reason="the registry has no image of that name")
        return None

    async def _log_in(self, challenge: str) -> None:
        scheme, _, rest = challenge.strip().partition(" ")
        parameters = {name.lower(): value for name, value in _PARAMETER.findall(rest[:16_384])}
        if scheme.lower() == "bearer" and "realm" in parameters:
            self._authorization = f"Bearer {await self._token(parameters)}"
            return
        is_basic = self._login is not None and self._login.lower().startswith("basic ")
        if scheme.lower() != "basic" or not is_basic or self._registry.scheme != "https":
            raise RegistryUnusable(rule="login", reason="the registry wants a login")
        self._authorization = self._login

    async def _token(self, parameters: dict[str, str]) -> str:
        """Ask for a token where the registry says; for this repository alone, whatever scope it names."""
        settings = self._asked.settings
        query = {"scope": self._scope}
        if "service" in parameters:
            query = {"service": parameters["service"]} | query
        realm = parameters["realm"].partition("#")[0]
        url = f"{realm}{'&' if '?' in realm else '?'}{urlencode(query)}"
        headers = {}
        try:
            target = self._asked.urls.check(url)
            if self._login is not None:
                check_realm(target, self._registry.host, settings)
                headers = {"Authorization": self._login}
            request = SourceRequest(
                url=target,
                headers=headers,
                project=self._asked.project,
                ca_pem=self._asked.submission.ca_pem,
            )
            body = await read_small(self._asked, request, MAX_TOKEN_BYTES)
        except SourceStatus as failure:
            if failure.is_retryable():
                raise
            raise RegistryUnusable(rule="login", reason="no token is given out for the image") from failure
        except Failure as failure:
            failure.part = failure.part or "registry's token"
            raise
        return _read_token(body)


async def read_small(asked: Asked, request: SourceRequest, most: int) -> bytes:
    """Read a small document whole; one that is larger comes back cut off behind `most` bytes.

    Raises:
        Failure: As from the gate.
    """
    held = bytearray()
    async with asked.gate.open(request, asked.settings, lambda _hop: None) as source:
        while len(held) <= most and (chunk := await source.read()):
            held += chunk
    return bytes(held[: most + 1])


def _read_token(body: bytes) -> str:
    """Read the answer of a token service.

    Raises:
        RegistryUnusable: There is no token in it.
    """
    try:
        found = msgspec.convert(json.loads(body), dict[str, object]) if len(body) <= MAX_TOKEN_BYTES else {}
    except (ValueError, RecursionError, msgspec.ValidationError):
        found = {}
    token = found.get("token") or found.get("access_token")
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise RegistryUnusable(rule="token", reason="the answer to the request for a token holds none")
    return token
