"""Who calls: modes, tokens and roles; nobody gets in by accident."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request

from fetcher.api.auth.identifier import identifier
from fetcher.api.auth.identity import (
    Local,
    Tokens,
    actor_of,
    challenge,
    make_token,
    require_role,
    token_of,
)
from fetcher.config import BadConfig, Current, Settings, load_settings
from fetcher.errors import Forbidden, Unauthenticated
from fetcher.start.command import main
from tests.service import Running


def request(**fields: str) -> Request:
    headers = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in fields.items()]
    return Request({"type": "http", "method": "GET", "path": "/", "headers": headers})


def token_settings(*entries: dict[str, Any]) -> Settings:
    return load_settings(changes={"auth": {"mode": "tokens", "tokens": list(entries)}})


async def test_a_token_is_known_by_its_digest_alone() -> None:
    """The configuration holds what lets nobody in; either header carries the token."""
    token, sha256 = make_token()
    assert hashlib.sha256(token.encode()).hexdigest() == sha256
    assert len(token) >= 43
    settings = token_settings(
        {"sha256": "0" * 64, "project": "b", "user": "bob", "roles": ["admin"]},
        {"sha256": sha256, "project": "a", "user": "alice", "roles": ["member"]},
    )
    tokens = identifier(Current(settings))
    assert isinstance(tokens, Tokens)
    for fields in ({"x_auth_token": token}, {"authorization": f"bearer {token}"}):
        actor = await tokens(request(**fields))
        assert (actor.project_id, actor.user_id, actor.is_admin) == ("a", "alice", False)
        assert actor.roles == {"member", "reader"}
    for bad in (sha256, token[:-1], token + "x", "", " ", "ä" * 43, "x" * 8193, "a\x00b"):
        with pytest.raises(Unauthenticated):
            await tokens(request(x_auth_token=bad))


def test_two_tokens_are_none() -> None:
    """Whoever stands before the service may have looked at the other one."""
    headers = [(b"x-auth-token", b"a"), (b"x-auth-token", b"b")]
    with pytest.raises(Unauthenticated):
        token_of(Request({"type": "http", "method": "GET", "path": "/", "headers": headers}))


@pytest.mark.parametrize("fields", [{}, {"authorization": "Basic abc"}, {"authorization": "Bearer"}])
def test_no_token_is_no_caller(fields: dict[str, str]) -> None:
    """Another scheme of HTTP's is none either."""
    with pytest.raises(Unauthenticated):
        token_of(request(**fields))


async def test_a_revoked_token_is_out_at_the_next_request() -> None:
    """Taking it out of the file and SIGHUP is all."""
    token, sha256 = make_token()
    entry = {"sha256": sha256, "project": "a", "user": "alice", "roles": ["member"]}
    now = Current(token_settings(entry))
    tokens = Tokens(now)
    assert (await tokens(request(x_auth_token=token))).user_id == "alice"
    now.settings = token_settings({**entry, "sha256": "0" * 64})
    with pytest.raises(Unauthenticated):
        await tokens(request(x_auth_token=token))


def test_roles_hold_each_other() -> None:
    """An admin writes, a member reads; a role that means nothing here lets nobody in."""
    assert actor_of("p", "u", ["admin"]).roles == {"admin", "member", "reader"}
    assert actor_of("p", "u", ["Member", "other"]).roles == {"member", "reader"}
    reader = actor_of("p", "u", ["reader"])
    require_role(reader, "reader")
    with pytest.raises(Forbidden, match="member"):
        require_role(reader, "member")
    for roles in ([], ["service"]):
        with pytest.raises(Forbidden):
            actor_of("p", "u", roles)


async def test_everybody_on_this_machine_is_one_project() -> None:
    """Local mode asks for nothing, and listens nowhere else."""
    settings = load_settings(changes={"auth": {"project": "home"}})
    local = identifier(Current(settings))
    assert isinstance(local, Local)
    actor = await local(request())
    assert (actor.project_id, actor.is_admin) == ("home", True)
    with pytest.raises(BadConfig, match="loopback"):
        load_settings(changes={"server": {"listen": "0.0.0.0:9292"}})
    assert token_settings({"sha256": "0" * 64, "project": "b", "user": "bob", "roles": ["admin"]})


INCOMPLETE: dict[str, tuple[dict[str, dict[str, Any]], set[str]]] = {
    "tokens without one": ({"auth": {"mode": "tokens"}}, {"auth.tokens"}),
    "keystone without anything": (
        {"auth": {"mode": "keystone"}},
        {"keystone.auth_url", "keystone.username", "keystone.password"},
    ),
    "two passwords": (
        {
            "auth": {"mode": "keystone"},
            "keystone": {"auth_url": "http://x/v3", "username": "u", "password": "p", "password_file": "f"},
        },
        {"keystone.password"},
    ),
    "a token that is no digest": (
        {"auth": {"tokens": [{"sha256": "secret", "project": "a", "user": "b", "roles": ["member"]}]}},
        {"auth.tokens"},
    ),
    "a role that is none": (
        {"auth": {"tokens": [{"sha256": "0" * 64, "project": "a", "user": "b", "roles": ["root"]}]}},
        {"auth.tokens"},
    ),
}


@pytest.mark.parametrize("name", INCOMPLETE)
def test_a_mode_that_would_let_nobody_in_is_refused_at_the_start(name: str) -> None:
    """All that is missing is listed at once."""
    changes, keys = INCOMPLETE[name]
    with pytest.raises(BadConfig) as caught:
        load_settings(changes=changes)
    assert {mistake.key for mistake in caught.value.mistakes} == keys


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keystone needs an extra; without it the check of the configuration says how to get it."""
    monkeypatch.setattr("fetcher.config.find_spec", lambda _name: None)
    keystone = {"auth_url": "http://x/v3", "username": "u", "password": "p"}
    with pytest.raises(BadConfig, match="make setup EXTRAS=keystone"):
        load_settings(changes={"auth": {"mode": "keystone"}, "keystone": keystone})


def test_the_command_makes_a_token(capsys: pytest.CaptureFixture[str]) -> None:
    """The token for its holder, the digest for the file."""
    assert main(["--make-token"]) == 0
    printed = dict(line.split() for line in capsys.readouterr().out.splitlines())
    assert hashlib.sha256(printed["token"].encode()).hexdigest() == printed["sha256"]


def test_the_challenge_is_the_modes() -> None:
    """Clients of Keystone look for its address in a 401."""
    assert challenge(load_settings()) == "Bearer"
    keystone = {"auth_url": "http://x/v3", "username": "u", "password": "p"}
    settings = load_settings(changes={"auth": {"mode": "keystone"}, "keystone": keystone})
    assert challenge(settings) == 'Keystone uri="http://x/v3"'


async def test_both_faces_ask_for_a_token(tmp_path: Path) -> None:
    """401 with a challenge, each in its own form; what needs no caller stays open."""
    token, sha256 = make_token()
    auth = {
        "mode": "tokens",
        "tokens": [{"sha256": sha256, "project": "a", "user": "rita", "roles": ["reader"]}],
    }
    async with Running(tmp_path, auth=auth) as service:
        for path in ("/imports", "/v2/images", "/v2/info/import", "/limits"):
            status, document, headers = await service.call("GET", path)
            assert (status, headers["www-authenticate"]) == (401, "Bearer")
            assert "unauthenticated" in str(document)
            assert (await service.call("GET", path, headers={"X-Auth-Token": token}))[0] == 200
        for path in ("/healthz", "/versions", "/errors"):
            assert (await service.call("GET", path))[0] == 200
        body = {"json": {"url": "https://a.example/x"}, "headers": {"X-Auth-Token": token}}
        assert (await service.call("POST", "/imports", **body))[0] == 403
        assert (await service.call("POST", "/v2/images", json={}, headers=body["headers"]))[0] == 403


async def test_i12_limits_are_told_to_those_who_may_call(tmp_path: Path) -> None:
    """Both ways to the limits need a token: they say which inner ports the operator opened."""
    token, sha256 = make_token()
    listed = [{"sha256": sha256, "project": "p", "user": "u", "roles": ["reader"]}]
    async with Running(tmp_path, auth={"mode": "tokens", "tokens": listed}) as service:
        for method, path in (("GET", "/limits"), ("OPTIONS", "/imports")):
            assert (await service.call(method, path))[0] == 401
            assert (await service.call(method, path, headers={"X-Auth-Token": token}))[0] == 200
