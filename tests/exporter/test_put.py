"""An image is sent by one PUT to a receiver that the operator allows, and to nobody else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.exporter.receiver import Receiver
from tests.images import qcow2
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.service import PATIENT_SECONDS, Running

IMAGE = qcow2(clusters=40)
QUICK = {"first_wait_seconds": 0.01, "max_wait_seconds": 0.02}


@asynccontextmanager
async def sending(folder: Path, receiver: Receiver, **exports: Any) -> AsyncIterator[tuple[Running, str]]:
    """A service with one image, which may be sent to the receiver."""
    rules = {"receivers": [receiver.host], **QUICK, **exports}
    async with Origin({"/d": behaviours.serve(IMAGE)}) as origin:
        places = [{"cidr": "127.0.0.1/32", "ports": [origin.port, receiver.port]}]
        async with Running(folder, exports=rules, address={"allow": places}) as service:
            ended = await service.run(url=origin.url("/d"), disk_format="qcow2")
            yield service, ended["image_id"]


async def push(service: Running, image_id: str, url: str, **fields: Any) -> dict[str, Any]:
    """Submit an export that must be taken."""
    status, export, _ = await service.call("POST", "/exports", json={"image": image_id, "url": url, **fields})
    assert status == 202, export
    return dict(export)


async def ended(service: Running, export_id: str) -> dict[str, Any]:
    """Follow an export by its events to its end."""
    async with asyncio.timeout(PATIENT_SECONDS), service.client.get(f"/exports/{export_id}/events") as answer:
        async for line in answer.content:
            if line.startswith(b"event: end"):
                return dict(await service.get(f"/exports/{export_id}"))
    raise AssertionError("the events ended before the export did")


async def test_the_receiver_gets_the_very_bytes(tmp_path: Path) -> None:
    """One PUT with a length, the digest and the headers that the URL was signed with; its answer is kept."""
    async with Receiver() as receiver, sending(tmp_path, receiver) as (service, image_id):
        headers = {"x-ms-blob-type": "BlockBlob", "Content-Type": "application/x-qemu-disk"}
        export = await push(service, image_id, receiver.url("/disk?sig=secret"), headers=headers)
        assert export["receiver"] == receiver.url("/disk?sig=REDACTED")
        done = await ended(service, export["id"])
        assert (done["state"], done["verdict"]["code"]) == ("succeeded", "ok")
        assert done["answer"] == {"status": "200", "etag": '"abc"'}
        assert done["progress"]["percent"] == 100
        assert receiver.taken == {"/disk?sig=secret": IMAGE}
        (head,) = receiver.heads
        assert head.startswith("PUT /disk?sig=secret HTTP/1.1\r\n")
        assert f"Content-Length: {len(IMAGE)}\r\n" in head
        assert "x-ms-blob-type: BlockBlob\r\n" in head
        assert "Content-Type: application/x-qemu-disk\r\n" in head
        assert "Repr-Digest: sha-256=:" in head
        assert "Transfer-Encoding" not in head


async def test_nothing_leaves_until_the_operator_says_so(tmp_path: Path) -> None:
    """With no receiver in the configuration, every export is refused and nobody is asked anything."""
    async with Receiver() as receiver, sending(tmp_path, receiver, receivers=[]) as (service, image_id):
        body = {"image": image_id, "url": receiver.url("/d")}
        status, problem, _ = await service.call("POST", "/exports", json=body)
        assert (status, problem["code"]) == (403, "receiver-forbidden")
        assert receiver.heads == []


async def test_i26_exports_are_paced_per_project(tmp_path: Path) -> None:
    """At the limit passes, one past it is told when to come back, also one that would be refused anyway."""
    async with Receiver() as receiver, sending(tmp_path, receiver, max_submits_per_minute=2) as sent:
        service, image_id = sent
        for image in (image_id, "no-image"):
            await service.call("POST", "/exports", json={"image": image, "url": receiver.url("/d")})
        body = {"image": image_id, "url": receiver.url("/d")}
        status, problem, headers = await service.call("POST", "/exports", json=body)
        assert (status, problem["code"]) == (429, "queue-full")
        assert 0 < int(headers["retry-after"]) <= 60
        assert (await service.get("/limits"))["limits"]["export_max_per_minute"]["value"] == 2


OTHERS = [
    ("http://evil.example.org/d", "receiver-forbidden"),
    ("ftp://127.0.0.1/d", "url-invalid"),
    ("http://127.0.0.1:22/d", "url-invalid"),
    ("http://user:pw@127.0.0.1/d", "url-invalid"),
]


async def test_only_receivers_that_are_named(tmp_path: Path) -> None:
    """Another host, scheme or port is refused at once, whatever else may be fetched from."""
    async with Receiver() as receiver, sending(tmp_path, receiver) as (service, image_id):
        for url, code in OTHERS:
            status, problem, _ = await service.call("POST", "/exports", json={"image": image_id, "url": url})
            assert (status, problem["code"]) == (403 if code == "receiver-forbidden" else 400, code), url


async def test_an_address_of_our_own_is_never_sent_to(tmp_path: Path) -> None:
    """A receiver that the operator names still has to be at an address that may be dialled."""
    async with (
        Receiver() as receiver,
        sending(tmp_path, receiver, receivers=["localhost"], attempts=1) as (service, image_id),
    ):
        body = {"image": image_id, "url": f"http://localhost:{service.base.rpartition(':')[2]}/d"}
        status, problem, _ = await service.call("POST", "/exports", json=body)
        assert (status, problem["code"]) == (400, "url-invalid")


@pytest.mark.parametrize("behaviour", ["break once", "busy once"])
async def test_a_receiver_that_fails_is_sent_everything_again(tmp_path: Path, behaviour: str) -> None:
    """A connection that breaks off and a 503 cost an attempt; the second one sends from the first byte."""
    async with Receiver(behaviour) as receiver, sending(tmp_path, receiver) as (service, image_id):
        export = await push(service, image_id, receiver.url("/d"))
        done = await ended(service, export["id"])
        assert done["state"] == "succeeded"
        assert [attempt["code"] == "ok" for attempt in done["attempts"]] == [False, True]
        assert receiver.taken == {"/d": IMAGE}


async def test_a_refusal_before_the_body_is_final_and_told_as_the_receivers(tmp_path: Path) -> None:
    """A 403 ends it at the first attempt, in words about a receiver."""
    async with Receiver("refuse early") as receiver, sending(tmp_path, receiver) as (service, image_id):
        done = await ended(service, (await push(service, image_id, receiver.url("/d")))["id"])
        assert (done["state"], done["verdict"]["code"]) == ("failed", "source-status")
        assert done["verdict"]["title"] == "The receiver answered with status 403."
        assert "PUT" in done["verdict"]["advice"]
        assert len(done["attempts"]) == 1


async def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    """The body and its headers go to nobody but the receiver that was named."""
    async with Receiver("redirect") as receiver, sending(tmp_path, receiver) as (service, image_id):
        done = await ended(service, (await push(service, image_id, receiver.url("/d")))["id"])
        assert (done["state"], done["verdict"]["code"]) == ("failed", "source-status")
        assert done["verdict"]["fields"]["status"] == 307


async def test_a_receiver_that_takes_nothing_is_given_up(tmp_path: Path) -> None:
    """Silence after the head costs the attempt after `stall_seconds`, not the slot for ever."""
    async with (
        Receiver("stall") as receiver,
        sending(tmp_path, receiver, stall_seconds=0.2, attempts=1) as (service, image_id),
    ):
        done = await ended(service, (await push(service, image_id, receiver.url("/d")))["id"])
        assert (done["state"], done["verdict"]["code"]) == ("failed", "source-too-slow")


async def test_a_cancelled_export_sends_nothing_more(tmp_path: Path) -> None:
    """When DELETE answers, the connection is gone, the secrets too, and the state says so."""
    async with Receiver("stall") as receiver, sending(tmp_path, receiver) as (service, image_id):
        export = await push(service, image_id, receiver.url("/d?sig=hidden"))
        await receiver.arrived.wait()
        status, _, _ = await service.call("DELETE", f"/exports/{export['id']}")
        assert status == 204
        done = await service.get(f"/exports/{export['id']}")
        assert (done["state"], done["verdict"]["code"]) == ("cancelled", "cancelled")
        rows = service.service.app.state.services.index.connection
        count = await rows.read(lambda db: db.execute("SELECT count(*) FROM export_secrets").fetchone()[0])
        assert count == 0


async def test_damaged_bytes_never_arrive_whole(tmp_path: Path) -> None:
    """A blob that rotted on the disk is broken off before its last bytes, and never succeeds."""
    async with Receiver() as receiver, sending(tmp_path, receiver) as (service, image_id):
        (blob,) = [path for path in (service.data / "blobs").rglob("*") if path.is_file()]
        body = bytearray(blob.read_bytes())
        body[-1] ^= 1
        blob.chmod(0o600)
        blob.write_bytes(body)
        done = await ended(service, (await push(service, image_id, receiver.url("/d")))["id"])
        assert done["verdict"]["code"] == "bytes-damaged"
        assert receiver.taken == {}


async def test_a_day_has_its_limit(tmp_path: Path) -> None:
    """A project sends no more than the operator allows within a day, however many exports that takes."""
    most = len(IMAGE) + 10
    async with (
        Receiver() as receiver,
        sending(tmp_path, receiver, max_bytes_per_day=most) as (service, image_id),
    ):
        await push(service, image_id, receiver.url("/d"))
        body = {"image": image_id, "url": receiver.url("/e")}
        status, problem, headers = await service.call("POST", "/exports", json=body)
        assert (status, problem["code"], problem["limit_bytes"]) == (429, "send-limit", most)
        assert "retry-after" in headers


async def test_headers_cannot_change_the_request(tmp_path: Path) -> None:
    """What frames the request stays ours."""
    async with Receiver() as receiver, sending(tmp_path, receiver) as (service, image_id):
        for name in ("Host", "Content-Length", "Transfer-Encoding", "Metadata-Flavor"):
            body = {"image": image_id, "url": receiver.url("/d"), "headers": {name: "x"}}
            status, problem, _ = await service.call("POST", "/exports", json=body)
            assert (status, problem["field"]) == (400, "headers"), name


async def test_what_a_stopped_process_left_is_sent_by_the_next(tmp_path: Path) -> None:
    """An export that was cut off by a stop runs again at the next start, from the first byte."""
    async with Receiver("stall") as receiver:
        async with sending(tmp_path, receiver) as (service, image_id):
            export = await push(service, image_id, receiver.url("/d"))
            await receiver.arrived.wait()
        receiver.behaviour = "take"
        async with Running(
            tmp_path,
            exports={"receivers": [receiver.host], **QUICK},
            address={"allow": [{"cidr": "127.0.0.1/32", "ports": [receiver.port]}]},
        ) as service:
            done = await ended(service, export["id"])
            assert done["state"] == "succeeded"
            assert receiver.taken == {"/d": IMAGE}


async def test_what_is_being_sent_outlives_a_fault_of_the_loop(tmp_path: Path) -> None:
    """The loop that starts exports may die and be started again: the one under way is sent once."""
    async with Receiver("hold") as receiver, sending(tmp_path, receiver) as (service, image_id):
        export = await push(service, image_id, receiver.url("/d"))
        await receiver.arrived.wait()
        again = asyncio.create_task(service.service.app.state.services.exporter.run())
        other = await push(service, image_id, receiver.url("/e"))  # Wakes the loop: it has taken up by then.
        receiver.release.set()
        done = [await ended(service, one["id"]) for one in (export, other)]
        again.cancel()
        assert [(one["state"], len(one["attempts"])) for one in done] == [("succeeded", 1)] * 2
        assert len(receiver.heads) == 2


async def test_exports_are_listed_a_page_at_a_time(tmp_path: Path) -> None:
    """Newest first, narrowed by state, with a link to the rest; nonsense is refused."""
    async with Receiver() as receiver, sending(tmp_path, receiver) as (service, image_id):
        made = [(await push(service, image_id, receiver.url(f"/{n}")))["id"] for n in range(3)]
        for export_id in made:
            await ended(service, export_id)
        first = await service.get("/exports?limit=2&state=succeeded")
        assert [export["id"] for export in first["exports"]] == made[:0:-1]
        rest = await service.get(first["next"].removeprefix(service.base))
        assert [export["id"] for export in rest["exports"]] == made[:1]
        for wrong in ("limit=0", "state=lost", "colour=red", "marker=nobody"):
            status, _, _ = await service.call("GET", f"/exports?{wrong}")
            assert status in {400, 404}


async def test_the_trail_names_who_sent_what_where(tmp_path: Path) -> None:
    """Submission and end have their lines in the audit trail, with the receiver but not its secrets."""
    async with Receiver() as receiver, sending(tmp_path, receiver) as (service, image_id):
        export = await push(service, image_id, receiver.url("/d?sig=hidden"))
        await ended(service, export["id"])
        rows = service.service.app.state.services.index.connection
        sql = "SELECT action, image_id, url, code FROM audit WHERE action LIKE 'export%' ORDER BY id"
        lines = await rows.read(lambda db: db.execute(sql).fetchall())
        shown = receiver.url("/d?sig=REDACTED")
        assert [tuple(line) for line in lines] == [
            ("export-submitted", image_id, shown, None),
            ("export-succeeded", image_id, shown, "ok"),
        ]


async def test_a_day_has_an_end(tmp_path: Path) -> None:
    """What a project may send within a day is told with figures and when to come back; nothing is sent."""
    most = len(IMAGE) + 1
    async with (
        Receiver() as receiver,
        sending(tmp_path, receiver, max_bytes_per_day=most) as (service, image_id),
    ):
        await ended(service, (await push(service, image_id, receiver.url("/one")))["id"])
        body = {"image": image_id, "url": receiver.url("/two")}
        status, refused, headers = await service.call("POST", "/exports", json=body)
        assert (status, refused["code"]) == (429, "send-limit")
        assert (refused["limit_bytes"], refused["used_bytes"]) == (most, len(IMAGE))
        assert int({name.lower(): value for name, value in headers.items()}["retry-after"]) > 0
        assert list(receiver.taken) == ["/one"]


async def test_a_repeated_request_sends_once(tmp_path: Path) -> None:
    """With the same Idempotency-Key the first export comes back; another body under it is refused."""
    async with Receiver() as receiver, sending(tmp_path, receiver) as (service, image_id):
        body = {"image": image_id, "url": receiver.url("/d")}

        async def call(key: str, **more: Any) -> tuple[int, Any]:
            headers = {"Idempotency-Key": key}
            return (await service.call("POST", "/exports", json=body | more, headers=headers))[:2]

        status, first = await call("one")
        assert status == 202
        await ended(service, first["id"])
        status, again = await call("one")
        assert (status, again["id"], again["state"]) == (202, first["id"], "succeeded")
        status, problem = await call("one", verify=True)
        assert (status, problem["code"]) == (422, "idempotency-mismatch")
        assert (await call(" "))[0] == 400
        assert (await call("two"))[1]["id"] != first["id"]
