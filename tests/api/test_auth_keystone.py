"""Keystone mode against a small Keystone of our own: cached for a short time, and never open."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from fetcher.api.auth.identifier import identifier
from fetcher.api.auth.keystone import Keystone, machine_authorities
from fetcher.config import Current, load_settings
from fetcher.errors import Forbidden, IdentityUnavailable, Unauthenticated
from fetcher.transport import system_authorities
from tests.api.test_auth import request
from tests.lab.certificates import Authorities
from tests.lab.origin import Exchange, Origin
from tests.service import Running


class SmallKeystone:
    """Knows tokens, counts questions, and fails when told to."""

    def __init__(self) -> None:
        self.tokens: dict[str, dict[str, Any]] = {}
        self.asked: list[str] = []
        self.logins = 0
        self.status: int | None = None
        self.says: bytes | None = None
        self.gate: asyncio.Event | None = None

    def add(
        self,
        token: str,
        *,
        project: str | None = "a",
        roles: tuple[str, ...] = ("member",),
        seconds: float = 60,
    ) -> None:
        expires = datetime.now(UTC) + timedelta(seconds=seconds)
        self.tokens[token] = {
            "user": {"id": f"id of {token}", "name": "x"},
            "roles": [{"id": "1", "name": role} for role in roles],
            "expires_at": expires.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        }
        if project is not None:
            self.tokens[token]["project"] = {"id": project, "name": "x"}

    async def serve(self, exchange: Exchange) -> None:
        """`/v3/auth/tokens`: POST logs the service in, GET says whose a token is."""
        if exchange.request.method == "POST":
            await exchange._reader.readexactly(int(exchange.request.header("Content-Length") or 0))
            self.logins += 1
            body = json.dumps({"token": {**self._own(), "methods": ["password"]}}).encode()
            await self._answer(exchange, 201, body, {"X-Subject-Token": f"own {self.logins}"})
            return
        token = exchange.request.header("X-Subject-Token") or ""
        self.asked.append(token)
        expires = self.tokens.get(token, {}).get("expires_at")
        is_old = expires is not None and datetime.fromisoformat(expires) < datetime.now(UTC)
        if self.gate is not None:
            await self.gate.wait()
        if self.status is not None:
            await self._answer(exchange, self.status, b"{}", {})
        elif token not in self.tokens or (is_old and "allow_expired" not in exchange.request.target):
            await self._answer(exchange, 404, b"{}", {})
        else:
            body = self.says or json.dumps({"token": self.tokens[token]}).encode()
            await self._answer(exchange, 200, body, {})

    def _own(self) -> dict[str, Any]:
        expires = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return {
            "user": {"id": "s", "name": "glance"},
            "expires_at": expires,
            "issued_at": expires,
            "roles": [],
        }

    async def _answer(self, exchange: Exchange, status: int, body: bytes, fields: dict[str, str]) -> None:
        head = {"Content-Type": "application/json", "Content-Length": len(body), "Connection": "close"}
        await exchange.send_head(status, {**head, **fields})
        await exchange.send(body)


@pytest.fixture
async def small() -> AsyncIterator[tuple[SmallKeystone, Keystone]]:
    """A Keystone and who asks it."""
    service = SmallKeystone()
    async with Origin({"/v3/auth/tokens": service.serve}) as origin:
        keystone = Keystone(settings_for(origin).keystone)
        try:
            yield service, keystone
        finally:
            keystone.close()


def settings_for(origin: Origin, **keys: Any) -> Any:
    keystone = {
        "auth_url": origin.url("/v3"),
        "username": "glance",
        "password": "pw",
        "timeout_seconds": 5.0,
        "refused_seconds": 0.2,
    }
    return load_settings(changes={"auth": {"mode": "keystone"}, "keystone": {**keystone, **keys}})


async def test_a_token_is_asked_about_once(small: tuple[SmallKeystone, Keystone]) -> None:
    """Forty requests at once are one question; the next ones are none."""
    service, keystone = small
    service.add("t", roles=("admin",))
    service.gate = asyncio.Event()
    asking = [asyncio.create_task(keystone(request(x_auth_token="t"))) for _ in range(40)]
    while not service.asked:
        await asyncio.sleep(0)
    service.gate.set()
    actors = await asyncio.gather(*asking)
    assert {actor.user_id for actor in actors} == {"id of t"}
    assert actors[0].is_admin
    assert (await keystone(request(x_auth_token="t"))).project_id == "a"
    assert (service.asked, service.logins) == (["t"], 1)


async def test_an_unknown_token_is_asked_about_again_only_after_a_while(
    small: tuple[SmallKeystone, Keystone],
) -> None:
    """Guessing does not become load on Keystone; a token made a moment later works soon."""
    service, keystone = small
    for _ in range(5):
        with pytest.raises(Unauthenticated):
            await keystone(request(x_auth_token="t"))
    assert service.asked == ["t"]
    service.add("t")
    async with asyncio.timeout(10):
        while True:
            try:
                assert (await keystone(request(x_auth_token="t"))).project_id == "a"
                break
            except Unauthenticated:
                await asyncio.sleep(0.02)
    assert len(service.asked) == 2


async def test_a_token_is_never_remembered_past_its_end(small: tuple[SmallKeystone, Keystone]) -> None:
    """The cache's time is the most, not the least."""
    service, keystone = small
    service.add("brief", seconds=0.3)
    assert (await keystone(request(x_auth_token="brief"))).project_id == "a"
    service.add("over", seconds=-1)
    with pytest.raises(Unauthenticated):
        await keystone(request(x_auth_token="over"))
    del service.tokens["brief"]
    await asyncio.sleep(0.35)
    with pytest.raises(Unauthenticated):
        await keystone(request(x_auth_token="brief"))


async def test_who_has_no_project_or_no_role_is_forbidden(small: tuple[SmallKeystone, Keystone]) -> None:
    """Known, but with nothing to do here."""
    service, keystone = small
    service.add("unscoped", project=None)
    service.add("other", roles=("service",))
    for token in ("unscoped", "unscoped", "other"):
        with pytest.raises(Forbidden):
            await keystone(request(x_auth_token=token))
    assert service.asked == ["unscoped", "other"]


@pytest.mark.parametrize("trouble", [500, 503, 401, 403, 302, "no JSON", "no token", "not a time"])
async def test_trouble_lets_nobody_in(small: tuple[SmallKeystone, Keystone], trouble: int | str) -> None:
    """Whatever Keystone says but whose a token is: 503, and asked anew the next time."""
    service, keystone = small
    service.add("t")
    if isinstance(trouble, int):
        service.status = trouble
    else:
        token = {**service.tokens["t"], "expires_at": "soon"}
        service.says = {
            "no JSON": b"<html>",
            "no token": b'{"error": {}}',
            "not a time": json.dumps({"token": token}).encode(),
        }[trouble]
    for _ in range(2):
        with pytest.raises(IdentityUnavailable):
            await keystone(request(x_auth_token="t"))
    service.status = service.says = None
    assert (await keystone(request(x_auth_token="t"))).project_id == "a"


async def test_keystone_away_lets_nobody_in() -> None:
    """Nothing listens there, or something that never answers."""
    async with Origin() as origin:
        settings = settings_for(origin)
    async with Origin(is_mute=True) as mute:
        for given in (settings, settings_for(mute, timeout_seconds=0.2)):
            keystone = identifier(Current(given))
            with pytest.raises(IdentityUnavailable):
                await keystone(request(x_auth_token="t"))
            keystone.close()


async def test_hung_questions_do_not_pile_up(
    small: tuple[SmallKeystone, Keystone], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Past so many at once, the next is told to come back."""
    monkeypatch.setattr("fetcher.api.auth.keystone.MAX_ASKED_AT_ONCE", 1)
    service, keystone = small
    service.add("t")
    service.gate = asyncio.Event()
    first = asyncio.create_task(keystone(request(x_auth_token="t")))
    while not service.asked:
        await asyncio.sleep(0)
    with pytest.raises(IdentityUnavailable):
        await keystone(request(x_auth_token="u"))
    service.gate.set()
    assert (await first).project_id == "a"


async def test_memory_for_tokens_has_an_end(
    small: tuple[SmallKeystone, Keystone], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever sends ever new tokens fills nothing; the oldest is forgotten."""
    monkeypatch.setattr("fetcher.api.auth.keystone.MAX_REMEMBERED", 2)
    service, keystone = small
    for name in ("a", "b", "c", "c", "a"):
        service.add(name)
        await keystone(request(x_auth_token=name))
    assert service.asked == ["a", "b", "c", "a"]


async def test_the_password_may_be_in_a_file(tmp_path: Path) -> None:
    """So that the configuration can be shown to others."""
    (tmp_path / "pw").write_text("pw\n")
    service = SmallKeystone()
    service.add("t")
    async with Origin({"/v3/auth/tokens": service.serve}) as origin:
        settings = settings_for(origin, password="", password_file=str(tmp_path / "pw"))
        keystone = Keystone(settings.keystone)
        assert (await keystone(request(x_auth_token="t"))).project_id == "a"
        keystone.close()


async def test_an_expired_token_passes_beside_a_service_token(
    small: tuple[SmallKeystone, Keystone],
) -> None:
    """A snapshot or upload that outlives its user's token ends well; the token alone stays refused."""
    service, keystone = small
    service.add("old", seconds=-60)
    service.add("nova", project="service", roles=("service",))
    for _ in range(2):
        with pytest.raises(Unauthenticated):
            await keystone(request(x_auth_token="old"))
        actor = await keystone(request(x_auth_token="old", x_service_token="nova"))
        assert (actor.project_id, actor.is_service) == ("a", True)
    assert sorted(service.asked) == ["nova", "old", "old"]


@pytest.mark.parametrize("roles", [("member",), ("admin",), ()])
async def test_a_service_token_needs_its_role(
    small: tuple[SmallKeystone, Keystone], roles: tuple[str, ...]
) -> None:
    """Any other token in its place changes nothing."""
    service, keystone = small
    service.add("old", seconds=-60)
    service.add("new")
    service.add("other", roles=roles)
    with pytest.raises(Unauthenticated):
        await keystone(request(x_auth_token="old", x_service_token="other"))
    assert not (await keystone(request(x_auth_token="new", x_service_token="other"))).is_service


async def test_a_service_token_has_to_be_valid(small: tuple[SmallKeystone, Keystone]) -> None:
    """An unknown or expired one is 401, also beside a good user token."""
    service, keystone = small
    service.add("new")
    service.add("gone", roles=("service",), seconds=-60)
    for token in ("unknown", "gone", "", "x" * 9000):
        with pytest.raises(Unauthenticated):
            await keystone(request(x_auth_token="new", x_service_token=token))


class KeystoneCloud(Running):
    """The service in keystone mode; a token's name is its header."""

    async def status(self, token: str, method: str, path: str, **options: Any) -> int:
        headers = {"X-Auth-Token": token, **options.pop("headers", {})}
        return (await self.call(method, f"/v2{path}", headers=headers, **options))[0]


PATCH = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
OF_AN_IMAGE: dict[str, tuple[str, str, dict[str, Any]]] = {
    "show": ("GET", "", {}),
    "change": ("PATCH", "", {"json": [], "headers": PATCH}),
    "delete": ("DELETE", "", {}),
    "fetch": ("GET", "/file", {}),
    "upload": ("PUT", "/file", {"data": b"x", "headers": {"Content-Type": "application/octet-stream"}}),
    "stage": ("PUT", "/stage", {"data": b"x", "headers": {"Content-Type": "application/octet-stream"}}),
    "import": ("POST", "/import", {"json": {"method": {"name": "web-download", "uri": "https://a.example"}}}),
    "deactivate": ("POST", "/actions/deactivate", {}),
    "reactivate": ("POST", "/actions/reactivate", {}),
    "tag": ("PUT", "/tags/x", {}),
    "untag": ("DELETE", "/tags/x", {}),
    "members": ("GET", "/members", {}),
    "member": ("GET", "/members/b", {}),
    "share": ("POST", "/members", {"json": {"member": "b"}}),
    "answer": ("PUT", "/members/b", {"json": {"status": "accepted"}}),
    "unshare": ("DELETE", "/members/b", {}),
    "tasks": ("GET", "/tasks", {}),
}


@pytest.fixture
async def stranger(tmp_path: Path) -> AsyncIterator[tuple[KeystoneCloud, str]]:
    """A service with one private image of project a, and tokens of all kinds."""
    service = SmallKeystone()
    service.add("owner")
    service.add("unscoped", project=None, roles=())
    service.add("system", project=None, roles=("admin",))
    service.add("nobody", roles=("dancer",))
    service.add("reader", project="b", roles=("reader",))
    service.add("own reader", roles=("reader",))
    service.add("nova", project="service", roles=("service",))
    async with Origin({"/v3/auth/tokens": service.serve}) as origin:
        keys = {"auth_url": origin.url("/v3"), "username": "glance", "password": "pw"}
        async with KeystoneCloud(tmp_path, auth={"mode": "keystone"}, keystone=keys) as cloud:
            headers = {"X-Auth-Token": "owner"}
            made = await cloud.call("POST", "/v2/images", json={"visibility": "private"}, headers=headers)
            yield cloud, made[1]["id"]


async def test_what_is_not_seen_is_not_forbidden(stranger: tuple[KeystoneCloud, str]) -> None:
    """Visibility comes before the role: an image that a token does not see is 404, whatever is asked."""
    cloud, image = stranger
    for name, (method, path, options) in OF_AN_IMAGE.items():
        for token in ("unscoped", "system", "nobody", "reader"):
            status = await cloud.status(token, method, f"/images/{image}{path}", **options)
            assert (name, token, status) == (name, token, 404)
    assert await cloud.status("own reader", "DELETE", f"/images/{image}") == 403
    assert await cloud.status("owner", "GET", f"/images/{image}") == 200


async def test_discovery_needs_a_token_and_no_role(stranger: tuple[KeystoneCloud, str]) -> None:
    """Schemas, import methods and stores are told to whoever has logged in; lists are not."""
    cloud, _image = stranger
    paths = ("/schemas/image", "/schemas/members", "/info/import", "/info/stores")
    for token in ("unscoped", "system", "nobody", "reader"):
        assert {await cloud.status(token, "GET", path) for path in paths} == {200}
    for token in ("unscoped", "system", "nobody"):
        assert {await cloud.status(token, "GET", path) for path in ("/images", "/tasks")} == {403}
    assert {await cloud.status("made up", "GET", path) for path in paths} == {401}


async def test_some_calls_are_for_services_alone(stranger: tuple[KeystoneCloud, str]) -> None:
    """A user's token uploads a LUKS volume, reads locations and stores' details beside a service's only."""
    cloud, _image = stranger
    cloud.write_config(image_api={"locations": True})
    cloud.service.reload()
    fields = {"disk_format": "raw", "container_format": "bare"}
    made = await cloud.call("POST", "/v2/images", json=fields, headers={"X-Auth-Token": "owner"})
    path = f"/images/{made[1]['id']}"
    luks = {"data": b"LUKS\xba\xbe\x00\x02" + bytes(8192)}
    octets, nova = {"Content-Type": "application/octet-stream"}, {"X-Service-Token": "nova"}
    assert await cloud.status("owner", "PUT", f"{path}/file", **luks, headers=octets) == 400
    assert await cloud.status("owner", "PUT", f"{path}/file", **luks, headers=octets | nova) == 204
    assert await cloud.status("owner", "GET", f"{path}/locations") == 403
    assert await cloud.status("owner", "GET", f"{path}/locations", headers=nova) == 200
    assert await cloud.status("owner", "GET", "/info/stores/detail") == 403
    assert await cloud.status("owner", "GET", "/info/stores/detail", headers=nova) == 200


@pytest.mark.parametrize(
    ("machine", "told_by", "is_let_in"),
    [
        ("known", "", True),
        ("other", "", False),
        ("other", "ca_file", True),
        ("other", "REQUESTS_CA_BUNDLE", False),
    ],
)
async def test_keystone_has_to_convince_the_machines_authorities_or_ca_file(
    machine: str, told_by: str, is_let_in: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a list that came with a library nor the environment decides who may name callers."""
    authorities, others, service = Authorities(), Authorities(), SmallKeystone()
    service.add("t")
    (tmp_path / "others").mkdir()
    known = str(authorities.trusted(tmp_path)["ca_file"])
    other = str(others.trusted(tmp_path / "others")["ca_file"])
    found = known if machine == "known" else other
    monkeypatch.setattr("fetcher.api.auth.keystone.system_authorities", lambda: (found, "/nowhere"))
    if told_by == "REQUESTS_CA_BUNDLE":
        monkeypatch.setenv(told_by, known)
        monkeypatch.setenv("SSL_CERT_FILE", known)
    keys = {"ca_file": known} if told_by == "ca_file" else {}
    async with Origin({"/v3/auth/tokens": service.serve}, tls=authorities.good("127.0.0.1")) as origin:
        keystone = Keystone(settings_for(origin, **keys).keystone)
        try:
            if is_let_in:
                assert (await keystone(request(x_auth_token="t"))).project_id == "a"
            else:
                with pytest.raises(IdentityUnavailable):
                    await keystone(request(x_auth_token="t"))
        finally:
            keystone.close()


def test_the_machines_authorities_are_those_of_openssl() -> None:
    """The file where there is one, else the folder: there is one of them on a machine that trusts anybody."""
    assert Path(machine_authorities()).exists()
    assert machine_authorities() in system_authorities()


async def test_proxies_of_the_environment_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The service's password goes to the identity service alone."""
    async with Origin() as proxy, Origin() as origin:
        service = SmallKeystone()
        service.add("t")
        origin.routes["/v3/auth/tokens"] = service.serve
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url(""))
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        keystone = Keystone(settings_for(origin).keystone)
        try:
            assert (await keystone(request(x_auth_token="t"))).project_id == "a"
        finally:
            keystone.close()
        assert proxy.connections == 0
