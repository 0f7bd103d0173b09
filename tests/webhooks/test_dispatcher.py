"""Receivers are told of an import's end: once if they listen, again if they do not, and through the gate."""

import asyncio
import base64
import hashlib
import hmac
import json
import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from fetcher.webhooks import dispatcher as webhook_dispatcher
from tests.images import HTML, qcow2
from tests.lab import behaviours
from tests.lab.canary import Canary
from tests.lab.dns import NameServer
from tests.lab.origin import Behaviour, Exchange, Origin, Request
from tests.processes import Process
from tests.service import Running

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()
QUICK: dict[str, Any] = {"first_wait_seconds": 0.02, "max_wait_seconds": 0.05, "attempts": 3}


class Inbox:
    """A receiver that keeps what it was sent, and answers as the test says; the last answer is for ever."""

    def __init__(self, *answers: Behaviour) -> None:
        self.messages: list[tuple[Request, dict[str, Any], bytes]] = []
        self._opener = answers or (behaviours.status(204),)

    async def __call__(self, exchange: Exchange) -> None:
        body = await exchange.read_body()
        self.messages.append((exchange.request, json.loads(body), body))
        await self._opener[min(len(self.messages), len(self._opener)) - 1](exchange)

    @property
    def data(self) -> dict[str, Any]:
        """What the newest message tells."""
        return dict(self.messages[-1][1]["data"])


async def told(service: Running, import_id: str, *states: str) -> dict[str, Any]:
    """Wait until an import's notice is settled, or in one of the states."""
    async with asyncio.timeout(30):
        while True:
            document = await service.get(f"/imports/{import_id}")
            if document["notice"]["state"] in (states or ("delivered", "given-up")):
                return dict(document)
            await asyncio.sleep(0.01)


def everything_in(folder: Path) -> str:
    """All that the index holds, as text."""
    with sqlite3.connect(folder / "data" / "index.sqlite") as db:
        text = "\n".join(db.iterdump())
    db.close()
    return text


async def test_a_success_is_told_once_and_signed(tmp_path: Path) -> None:
    """The message has the verdict and the digests; its receiver can know who sent it; no secret is left."""
    inbox = Inbox()
    async with (
        Origin({"/d": behaviours.serve(qcow2()), "/hook": inbox}) as origin,
        Running(tmp_path, origin, server={"public_url": "http://127.0.0.1"}) as service,
    ):
        hook = f"{origin.url('/hook')}?token=hush"
        ended = await service.run(
            url=origin.url("/d"),
            disk_format="qcow2",
            notify_url=hook,
            notify_secret=SECRET,
            headers={"X-Own": "mine"},
        )
        shown = await told(service, ended["id"])
        [(request, message, body)] = inbox.messages
        metrics = await (await service.client.get("/metrics")).text()
    assert (request.method, request.header("Content-Type")) == ("POST", "application/json")
    assert request.target == "/hook?token=hush"
    assert request.header("X-Own") is None
    assert request.header("webhook-id") == ended["id"]
    signed = f"{ended['id']}.{request.header('webhook-timestamp')}.".encode() + body
    wanted = hmac.new(b"0123456789abcdef01234567", signed, hashlib.sha256).digest()
    assert request.header("webhook-signature") == f"v1,{base64.b64encode(wanted).decode()}"
    assert message["type"] == "import.succeeded"
    told_of = {
        name: message["data"][name] for name in ("state", "code", "image_id", "digests", "disk_format")
    }
    assert told_of == {
        **{name: ended[name] for name in ("state", "image_id", "digests")},
        "code": "ok",
        "disk_format": "qcow2",
    }
    assert message["data"]["links"]["import"] == f"http://127.0.0.1/imports/{ended['id']}"
    assert shown["notice"]["state"] == "delivered"
    assert (shown["notice"]["attempts"], shown["notice"]["status"], shown["notice"]["code"]) == (1, 204, None)
    assert shown["submission"]["notify_url"].endswith("/hook?token=REDACTED")
    assert 'fetcher_notify_attempts_total{result="delivered"} 1.0' in metrics
    assert "fetcher_notify_waiting 0.0" in metrics
    kept = everything_in(tmp_path)
    assert "hush" not in kept
    assert SECRET not in kept
    assert "'notified'" in kept


@pytest.mark.parametrize(
    ("path", "code", "state"), [("/p", "format-mismatch", "refused"), ("/gone", "source-status", "failed")]
)
async def test_a_bad_end_is_told_with_its_reason(tmp_path: Path, path: str, code: str, state: str) -> None:
    """A receiver learns what the submitter would, with what to do; without a secret nothing is signed."""
    inbox = Inbox()
    async with (
        Origin({"/p": behaviours.serve(HTML), "/hook": inbox}) as origin,
        Running(tmp_path, origin) as service,
    ):
        ended = await service.run(url=origin.url(path), disk_format="qcow2", notify_url=origin.url("/hook"))
        await told(service, ended["id"])
    assert len(inbox.messages) == 1
    assert (
        (inbox.data["state"], inbox.data["code"])
        == (state, code)
        == (ended["state"], ended["verdict"]["code"])
    )
    assert inbox.data["advice"] == ended["verdict"]["advice"]
    assert inbox.messages[0][0].header("webhook-signature") is None


async def test_a_cancelled_import_is_told(tmp_path: Path) -> None:
    """Whichever way an import ends, its receiver hears of it."""
    inbox = Inbox()
    async with (
        Origin({"/d": behaviours.stall(qcow2(), 10), "/hook": inbox}) as origin,
        Running(tmp_path, origin) as service,
    ):
        created = await service.submit(url=origin.url("/d"), notify_url=origin.url("/hook"))
        assert created["notice"] == {"state": "pending", "attempts": 0} | dict.fromkeys(
            ("at", "next_at", "status", "code")
        )
        await origin.wait_requests(1)
        assert (await service.call("DELETE", f"/imports/{created['id']}"))[0] == 204
        await told(service, created["id"])
    assert [message["type"] for _, message, _ in inbox.messages] == ["import.cancelled"]


async def test_a_receiver_in_trouble_is_tried_again(tmp_path: Path) -> None:
    """After a 500 and a silence the third attempt is heard; all have one id and timestamps of their own."""
    inbox = Inbox(behaviours.status(500), behaviours.silent(), behaviours.status(200, body=b"x" * 100_000))
    async with (
        Origin({"/d": behaviours.serve(qcow2()), "/hook": inbox}) as origin,
        Running(tmp_path, origin, notify=QUICK | {"total_seconds": 0.3}) as service,
    ):
        ended = await service.run(url=origin.url("/d"), disk_format="qcow2", notify_url=origin.url("/hook"))
        shown = await told(service, ended["id"])
        await origin.wait_idle()
    assert (shown["notice"]["state"], shown["notice"]["attempts"], shown["notice"]["status"]) == (
        "delivered",
        3,
        200,
    )
    assert {request.header("webhook-id") for request, _, _ in inbox.messages} == {ended["id"]}
    assert len({body for _, _, body in inbox.messages}) == 1


@pytest.mark.parametrize(
    ("answer", "attempts", "status", "code"),
    [
        (behaviours.status(503), 3, 503, "source-status"),
        (behaviours.status(401), 1, 401, "source-status"),
        (behaviours.answer(b"SSH-2.0-OpenSSH_9.9\r\n"), 1, None, "bad-response"),
        (behaviours.answer(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000), 1, None, "bad-response"),
        (behaviours.answer(b""), 3, None, "source-unreachable"),
    ],
    ids=["overload", "unwelcome", "no HTTP", "endless head", "hung up"],
)
async def test_a_receiver_that_never_listens_is_given_up(
    tmp_path: Path, answer: Behaviour, attempts: int, status: int | None, code: str
) -> None:
    """What may pass is tried so often and no more, what will not pass once; nothing of it is echoed."""
    inbox = Inbox(answer)
    async with (
        Origin({"/d": behaviours.serve(qcow2()), "/hook": inbox}) as origin,
        Running(tmp_path, origin, notify=QUICK) as service,
    ):
        ended = await service.run(url=origin.url("/d"), disk_format="qcow2", notify_url=origin.url("/hook"))
        shown = await told(service, ended["id"])
        counted = service.service.app.state.services.webhook_dispatcher.attempts
    assert shown["state"] == "succeeded"
    assert shown["notice"] | {"at": None} == {
        "state": "given-up",
        "attempts": attempts,
        "at": None,
        "next_at": None,
        "status": status,
        "code": code,
    }
    assert len(inbox.messages) == attempts
    assert counted == {"delivered": 0, "failed": attempts - 1, "given-up": 1}
    assert "SSH-2.0" not in everything_in(tmp_path)


async def test_no_redirect_is_followed(tmp_path: Path) -> None:
    """A receiver cannot send the message, or us, anywhere else."""
    async with Canary() as canary:
        inbox = Inbox(behaviours.redirect(f"http://127.0.0.2:{canary.port}/"), behaviours.status(204))
        async with (
            Origin({"/d": behaviours.serve(qcow2()), "/hook": inbox}) as origin,
            Running(tmp_path, origin, notify=QUICK) as service,
        ):
            ended = await service.run(
                url=origin.url("/d"), disk_format="qcow2", notify_url=origin.url("/hook")
            )
            shown = await told(service, ended["id"])
        assert (shown["notice"]["state"], shown["notice"]["status"]) == ("given-up", 302)
        assert (len(inbox.messages), canary.accepted) == (1, 0)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"notify_url": "ftp://a.example/"}, "url-invalid"),
        ({"notify_url": "http://localhost/"}, "url-invalid"),
        ({"notify_url": "http://2130706433/"}, "url-invalid"),
        ({"notify_url": "https://u:hush@a.example/"}, "url-invalid"),
        ({"notify_url": "https://a.example:22/"}, "url-invalid"),
        ({"notify_secret": SECRET}, "request-invalid"),
        ({"notify_url": "https://a.example/", "notify_secret": "short"}, "request-invalid"),
        ({"notify_url": "https://a.example/", "notify_secret": "whsec_" + "!" * 40}, "request-invalid"),
        ({"notify_url": "https://a.example/", "notify_secret": "whsec_" + "QUJD" * 4}, "request-invalid"),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_a_receiver_that_never_can_be_told_is_refused_at_once(
    tmp_path: Path, fields: dict[str, Any], code: str
) -> None:
    """The URL is held to the rules of every other; a secret must be one, and is not echoed."""
    async with Running(tmp_path) as service:
        status, document, _ = await service.call(
            "POST", "/imports", json={"url": "https://a.example/x", **fields}
        )
        assert (status, document["code"]) == (400, code)
        assert "hush" not in str(document)
        assert fields.get("notify_secret", "no secret") not in str(document)
        assert (await service.get("/imports"))["imports"] == []


async def test_a_forbidden_address_is_never_dialled_and_told_like_a_dead_one(tmp_path: Path) -> None:
    """A name that moves inside between two attempts, and one that was there before: one public answer."""
    inbox = Inbox(behaviours.status(500))
    names = {"moves.example": ["127.0.0.1"], "inside.example": ["127.0.0.2"], "dead.example": "NXDOMAIN"}
    async with (
        NameServer(names) as server,  # type: ignore[arg-type] # an alias of its own
        Origin({"/d": behaviours.serve(qcow2()), "/hook": inbox}) as origin,
        Canary("127.0.0.2", origin.port) as canary,
        Running(tmp_path, origin, notify=QUICK, dns={"servers": [server.address]}) as service,
    ):

        async def moved(exchange: Exchange) -> None:
            server.table["moves.example"] = ["127.0.0.2"]
            await behaviours.status(500)(exchange)

        inbox._opener = (moved,)
        ends = {}
        for name in names:
            hook = f"http://{name}:{origin.port}/hook"
            ended = await service.run(url=origin.url("/d"), disk_format="qcow2", notify_url=hook)
            ends[name] = (await told(service, ended["id"]))["notice"] | {"at": None}
        assert len(inbox.messages) == 1
        assert canary.accepted == 0
        assert ends["inside.example"] == ends["dead.example"] == ends["moves.example"]
        assert (ends["inside.example"]["code"], ends["inside.example"]["attempts"]) == (
            "source-unreachable",
            3,
        )
        assert "127.0.0.2" not in str(await service.get("/imports"))


async def test_the_operators_receiver_is_told_of_every_import(tmp_path: Path) -> None:
    """Those without a receiver of their own, signed with the operator's secret, which nobody is shown."""
    services, own = Inbox(), Inbox()
    async with Origin({"/d": behaviours.serve(qcow2()), "/services": services, "/own": own}) as origin:
        rules = {"url": origin.url("/services"), "secret": SECRET}
        async with Running(tmp_path, origin, notify=rules) as service:
            plain = await service.run(url=origin.url("/d"), disk_format="qcow2")
            named = await service.run(
                url=origin.url("/d"), disk_format="qcow2", notify_url=origin.url("/own")
            )
            shown = [await told(service, one["id"]) for one in (plain, named)]
    assert [inbox.data["import_id"] for inbox in (services, own)] == [plain["id"], named["id"]]
    assert services.messages[0][0].header("webhook-signature")
    assert own.messages[0][0].header("webhook-signature") is None
    assert shown[0]["submission"]["notify_url"] is None
    assert "/services" not in str(shown)


async def test_imports_of_the_image_api_are_told_and_uploads_are_not(tmp_path: Path) -> None:
    """Whoever sends bytes has the answer already; what is pulled ends unseen without a notice."""
    services = Inbox()
    async with Origin({"/d": behaviours.serve(qcow2()), "/services": services}) as origin:
        rules = {"url": origin.url("/services")}
        async with Running(tmp_path, origin, notify=rules) as service:
            fields = {"disk_format": "qcow2", "container_format": "bare"}
            images = [(await service.call("POST", "/v2/images", json=fields))[1]["id"] for _ in range(2)]
            octets = {"Content-Type": "application/octet-stream"}
            sent = await service.call("PUT", f"/v2/images/{images[0]}/file", data=qcow2(), headers=octets)
            method = {"method": {"name": "web-download", "uri": origin.url("/d")}}
            asked = await service.call("POST", f"/v2/images/{images[1]}/import", json=method)
            assert (sent[0], asked[0]) == (204, 202)
            await origin.wait_requests(2)
            for record in (await service.get("/imports"))["imports"]:
                if record["notice"] is not None:
                    await told(service, record["id"])
    assert [message["data"]["image_id"] for _, message, _ in services.messages] == [images[1]]


async def test_a_fault_of_ours_is_tried_again_and_told_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What no rule foresaw costs the notice its attempts, never the service or another notice."""

    def broken(*_arguments: object) -> None:
        raise ZeroDivisionError("secret cause")

    monkeypatch.setattr(webhook_dispatcher, "request_of", broken)
    async with (
        Origin({"/d": behaviours.serve(qcow2())}) as origin,
        Running(tmp_path, origin, notify=QUICK) as service,
    ):
        ended = await service.run(url=origin.url("/d"), disk_format="qcow2", notify_url=origin.url("/hook"))
        shown = await told(service, ended["id"])
    assert (shown["notice"]["code"], shown["notice"]["attempts"]) == ("internal-fault", 3)
    assert "secret cause" not in str(shown)


async def test_an_operator_may_switch_it_off(tmp_path: Path) -> None:
    """What is submitted later is refused, what waits is given up, and discovery says so."""
    inbox = Inbox(behaviours.status(500))
    slow = QUICK | {"first_wait_seconds": 0.3, "max_wait_seconds": 0.3}
    async with (
        Origin({"/d": behaviours.serve(qcow2()), "/hook": inbox}) as origin,
        Running(tmp_path, origin, notify=slow) as service,
    ):
        assert (await service.get("/limits"))["limits"]["notify_url_allowed"]["value"] is True
        ended = await service.run(url=origin.url("/d"), disk_format="qcow2", notify_url=origin.url("/hook"))
        await origin.wait_requests(2)
        service.write_config(notify=slow | {"per_import": False})
        service.service.reload()
        assert (await told(service, ended["id"]))["notice"]["code"] == "forbidden"
        assert len(inbox.messages) == 1
        status, document, _ = await service.call(
            "POST", "/imports", json={"url": origin.url("/d"), "notify_url": origin.url("/hook")}
        )
        assert (status, document["field"]) == (400, "notify_url")
        limits = await service.get("/v2/info/import")
        assert limits["notify_url_allowed"]["value"] is False


async def test_a_kill_between_end_and_notice_forgets_nobody(tmp_path: Path) -> None:
    """The receiver is down when the import ends, the process is killed, and the next one tells it."""
    inbox = Inbox(behaviours.status(500), behaviours.status(204))
    async with Origin({"/d": behaviours.serve(qcow2()), "/hook": inbox}) as origin:
        service = Running(tmp_path, origin, notify={"first_wait_seconds": 0.5})
        service.write_config()
        async with Process(service.config) as process:
            _, created = await process.call(
                "POST",
                "/imports",
                json={"url": origin.url("/d"), "notify_url": origin.url("/hook"), "notify_secret": SECRET},
            )
            ended = await process.until(created["id"], "succeeded")
            await origin.wait_requests(2)
            await process.kill()
            await process.start()
            async with asyncio.timeout(30):
                while ended["notice"]["state"] != "delivered":
                    ended = (await process.call("GET", f"/imports/{created['id']}"))[1]
                    await asyncio.sleep(0.02)
    assert [request.header("webhook-id") for request, _, _ in inbox.messages] == [created["id"]] * 2
    assert all(request.header("webhook-signature") for request, _, _ in inbox.messages)
    told_of = [json.loads(line) for line in process.said if b"notify." in line]
    assert "notify.ended" in {line["event"] for line in told_of}
    assert {line["import_id"] for line in told_of} == {created["id"]}
    assert {line["request_id"] for line in told_of} == {created["request_id"]}


async def test_one_projects_dead_receivers_delay_nobody_else(tmp_path: Path) -> None:
    """Only so many of one project are told at once; another project's receiver hears at once."""
    inbox = Inbox()
    tokens = [
        {
            "sha256": hashlib.sha256(name.encode()).hexdigest(),
            "project": name,
            "user": name,
            "roles": ["member"],
        }
        for name in ("dead", "quick")
    ]
    rules = {"max_running": 3, "max_running_per_project": 2, "total_seconds": 60.0}
    async with (
        Origin({"/d": behaviours.serve(qcow2()), "/hook": inbox}) as origin,
        Origin(is_mute=True) as mute,
        Running(tmp_path, origin, mute, notify=rules, auth={"mode": "tokens", "tokens": tokens}) as service,
    ):
        for name, hook, count in (("dead", mute.url("/"), 4), ("quick", origin.url("/hook"), 1)):
            for _ in range(count):
                body = {"url": origin.url("/d"), "disk_format": "qcow2", "notify_url": hook}
                await service.call("POST", "/imports", json=body, headers={"X-Auth-Token": name})
        async with asyncio.timeout(30):
            while not inbox.messages:
                await asyncio.sleep(0.01)
        assert inbox.data["project_id"] == "quick"
        assert mute.connections <= 2


async def test_i17_two_projects_with_dead_receivers_delay_no_third(tmp_path: Path) -> None:
    """A third project's receiver hears at once, though they would fill all deliveries with theirs."""
    inbox = Inbox()
    tokens = [
        {
            "sha256": hashlib.sha256(name.encode()).hexdigest(),
            "project": name,
            "user": name,
            "roles": ["member"],
        }
        for name in ("dead", "deaf", "quick")
    ]
    rules = {"total_seconds": 60.0}
    async with (
        Origin({"/d": behaviours.serve(qcow2()), "/hook": inbox}) as origin,
        Origin(is_mute=True) as mute,
        Running(tmp_path, origin, mute, notify=rules, auth={"mode": "tokens", "tokens": tokens}) as service,
    ):
        for name, hook, count in (
            ("dead", mute.url("/"), 6),
            ("deaf", mute.url("/"), 6),
            ("quick", origin.url("/hook"), 1),
        ):
            for _ in range(count):
                body = {"url": origin.url("/d"), "disk_format": "qcow2", "notify_url": hook}
                await service.call("POST", "/imports", json=body, headers={"X-Auth-Token": name})
        async with asyncio.timeout(30):
            while not inbox.messages:
                await asyncio.sleep(0.01)
        assert inbox.data["project_id"] == "quick"
        assert mute.connections <= 6


async def test_notices_do_not_pile_up(tmp_path: Path) -> None:
    """Beyond the operator's number, those that wait longest are given up."""
    inbox = Inbox(behaviours.status(500))
    rules = {"max_waiting": 2, "first_wait_seconds": 60.0}
    async with (
        Origin({"/d": behaviours.serve(qcow2()), "/hook": inbox}) as origin,
        Running(tmp_path, origin, notify=rules) as service,
    ):
        ids = [
            (await service.run(url=origin.url("/d"), disk_format="qcow2", notify_url=origin.url("/hook")))[
                "id"
            ]
            for _ in range(4)
        ]
        index = service.service.app.state.services.index
        async with asyncio.timeout(30):
            while len(inbox.messages) < 4 or await index.notices.waiting() > 2:
                await asyncio.sleep(0.01)
        states = [(await service.get(f"/imports/{one}"))["notice"] for one in ids]
    assert [notice["code"] for notice in states if notice["state"] == "given-up"] == ["queue-full"] * 2


async def test_the_sample_of_the_documents_knows_who_sent_a_message(tmp_path: Path) -> None:
    """A receiver that copies the code of docs/notify.md accepts what we send, and nothing else."""
    page = (Path(__file__).parents[2] / "docs/notify.md").read_text()
    sample = next(
        block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "is_ours" in block
    )
    copied: dict[str, Any] = {}
    exec(sample, copied)
    inbox = Inbox()
    async with (
        Origin({"/d": behaviours.serve(qcow2()), "/hook": inbox}) as origin,
        Running(tmp_path, origin) as service,
    ):
        ended = await service.run(
            url=origin.url("/d"), disk_format="qcow2", notify_url=origin.url("/hook"), notify_secret=SECRET
        )
        await told(service, ended["id"])
    request, _, body = inbox.messages[0]
    headers = {
        name: str(request.header(name)) for name in ("webhook-id", "webhook-timestamp", "webhook-signature")
    }
    is_ours = copied["is_ours"]
    assert is_ours(SECRET, headers, body)
    assert not is_ours(SECRET, headers, body + b" ")
    assert not is_ours("whsec_" + "A" * 32, headers, body)
    assert not is_ours(SECRET, {**headers, "webhook-id": "other"}, body)
    assert not is_ours(SECRET, {**headers, "webhook-timestamp": "1000000000"}, body)
    signed = headers["webhook-signature"]
    assert is_ours(SECRET, {**headers, "webhook-signature": f"v1,AAAA {signed}"}, body)
    assert not is_ours(SECRET, {}, body)
