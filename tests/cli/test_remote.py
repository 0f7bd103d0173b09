"""Commands that talk to a server: what they print, and the exit code that says how it ended."""

import asyncio
import hashlib
import re
import signal
from pathlib import Path

import pytest

from fetcher.cli.exits import MEANINGS, Exit, exit_of_import, exit_of_problem
from fetcher.errors import table
from tests.cli.conftest import Fetcher, spawn
from tests.cli.terminal import Terminal
from tests.images import HTML, qcow2
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.service import Running

NASTY = "\x1b[2J<b>\u202e[red]x"


async def test_submit_and_wait_ends_with_the_image(fetcher: Fetcher, tmp_path: Path) -> None:
    """In a pipe, standard output holds the image's id and nothing else."""
    async with (
        Origin({"/disk": behaviours.serve(qcow2())}) as origin,
        Running(tmp_path, origin) as service,
    ):
        result = await fetcher(
            *("submit", origin.url("/disk"), "--wait", "--server", service.base),
            *("--name", "disk", "--tag", "a", "--tag", "b", "--property", "os=x"),
        )
        assert result.code == Exit.OK
        newest = (await service.get("/imports"))["imports"][0]
        assert result.out == f"{newest['image_id']}\n"
        assert newest["submission"]["tags"] == ["a", "b"]
        assert newest["submission"]["properties"] == {"os": "x"}
        assert "succeeded" in result.err
        assert newest["digests"]["sha256"] in result.err


async def test_mirrors_headers_and_checksum_files_are_passed_on(fetcher: Fetcher, tmp_path: Path) -> None:
    """The header reaches the source and is shown by its name only; a malformed one is not echoed."""
    body = qcow2()
    sums = f"{hashlib.sha256(body).hexdigest()}  disk\n".encode()
    routes = {"/disk": behaviours.serve(body), "/SHA256SUMS": behaviours.serve(sums)}
    async with Origin(routes) as origin, Running(tmp_path, origin) as service:
        result = await fetcher(
            *("submit", origin.url("/disk"), "--wait", "--json", "--server", service.base),
            *("--header", "X-Key: hush", "--mirror", origin.url("/mirror/disk")),
            *("--checksum-url", origin.url("/SHA256SUMS")),
        )
        assert result.json["state"] == "succeeded"
        assert result.json["verified_by"] != "none"
        assert result.json["submission"]["headers"] == ["X-Key"]
        assert result.json["submission"]["mirrors"] == [origin.url("/mirror/disk")]
        asked = [request.header("x-key") for request in origin.requests if request.path == "/disk"]
        assert asked == ["hush"]
        wrong = await fetcher("submit", "u", "--header", "hush", "--server", service.base)
        assert wrong.code == Exit.USAGE
        assert "hush" not in wrong.err + wrong.out + result.out


async def test_a_receiver_is_named_and_its_secret_is_not(
    fetcher: Fetcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--notify` has it told, `show` says how that went; the secret comes from the environment."""
    monkeypatch.setenv("FETCHER_NOTIFY_SECRET", "0123456789abcdefghij")
    routes = {"/disk": behaviours.serve(qcow2()), "/hook": behaviours.status(204)}
    async with Origin(routes) as origin, Running(tmp_path, origin) as service:
        hook = origin.url("/hook")
        result = await fetcher(
            "submit", origin.url("/disk"), "--wait", "--notify", hook, "--server", service.base
        )
        assert result.code == Exit.OK
        await origin.wait_requests(2)
        assert origin.requests[-1].header("webhook-signature")
        newest = (await service.get("/imports"))["imports"][0]
        async with asyncio.timeout(30):
            while (await service.get(f"/imports/{newest['id']}"))["notice"]["state"] != "delivered":
                await asyncio.sleep(0.01)
        shown = await fetcher("show", newest["id"], "--server", service.base)
        assert f"{hook}, delivered" in " ".join(shown.out.split())
        assert "0123456789" not in shown.out + result.out + result.err


async def test_refusal_says_why_and_what_to_do(fetcher: Fetcher, tmp_path: Path) -> None:
    """A refused import has its own exit code, and its reason and advice are printed."""
    async with Origin({"/p": behaviours.serve(HTML)}) as origin, Running(tmp_path, origin) as service:
        result = await fetcher("submit", origin.url("/p"), "--wait", "--server", service.base)
        assert result.code == Exit.REFUSED
        assert result.out == ""
        assert "format-unknown" in result.err
        assert "HTML page" in result.err
        assert "what to do" in result.err


async def test_source_failure_has_its_own_exit_code(fetcher: Fetcher, tmp_path: Path) -> None:
    """A script can tell what may help to try again from what never will."""
    async with Origin({}) as origin, Running(tmp_path, origin) as service:
        result = await fetcher("submit", origin.url("/gone"), "--wait", "--json", "--server", service.base)
        assert result.code == Exit.FAILED
        assert result.json["verdict"]["code"] == "source-status"
        assert result.err == ""


async def test_same_key_makes_one_import(fetcher: Fetcher, tmp_path: Path) -> None:
    """A script that runs twice with one key submits once."""
    async with Origin({"/d": behaviours.serve(qcow2())}) as origin, Running(tmp_path, origin) as service:
        arguments = ("submit", origin.url("/d"), "--idempotency-key", "night", "--server", service.base)
        first, second = await fetcher(*arguments), await fetcher(*arguments)
        assert first.out == second.out
        await service.ended(first.out.strip())
        short = await fetcher("submit", origin.url("/d"), "--key", "night", "--server", service.base)
        assert short.out == first.out
        assert len((await service.get("/imports"))["imports"]) == 1


async def test_lists_are_lines_with_tabs_in_a_pipe(fetcher: Fetcher, tmp_path: Path) -> None:
    """`fetcher imports | cut -f1` gives ids; hostile names cannot move the cursor or break a line."""
    async with Origin({"/d": behaviours.serve(qcow2())}) as origin, Running(tmp_path, origin) as service:
        ended = await service.run(disk_format="qcow2", url=origin.url("/d"), name=NASTY)
        result = await fetcher("imports", "--server", service.base)
        (line,) = result.out.splitlines()
        cells = line.split("\t")
        assert cells[:3] == [ended["id"], "succeeded", "100 %"]
        assert cells[5] == "\\x1b[2J<b>\\x202e[red]x"
        listed = await fetcher("imports", "--json", "--state", "succeeded", "--server", service.base)
        assert listed.json["imports"][0]["name"] == NASTY
        none = await fetcher("imports", "--state", "refused", "--server", service.base)
        assert none.out == ""


async def test_show_tells_the_whole_import(fetcher: Fetcher, tmp_path: Path) -> None:
    """An import is shown with its digests and attempts; an unknown id has its own exit code."""
    async with Origin({"/d": behaviours.serve(qcow2())}) as origin, Running(tmp_path, origin) as service:
        ended = await service.run(disk_format="qcow2", url=origin.url("/d"))
        shown = await fetcher("show", ended["id"], "--server", service.base)
        assert shown.code == Exit.OK
        assert ended["digests"]["sha512"] in shown.out
        assert "attempt 1: ok" in shown.out
        again = await fetcher("show", ended["id"], "--wait", "--server", service.base)
        assert again.code == Exit.OK
        unknown = await fetcher("show", "../../etc/passwd", "--server", service.base)
        assert unknown.code == Exit.UNKNOWN


async def test_cancel_leaves_nothing(fetcher: Fetcher, tmp_path: Path) -> None:
    """A cancelled import is gone from the store, and waiting for it ends with its own exit code."""
    opened = asyncio.Event()
    slow = behaviours.gated(behaviours.serve(qcow2()), opened)
    async with Origin({"/d": slow}) as origin, Running(tmp_path, origin) as service:
        submitted = await fetcher("submit", origin.url("/d"), "--server", service.base)
        import_id = submitted.out.strip()
        cancelled = await fetcher("cancel", import_id, "--server", service.base)
        assert cancelled.code == Exit.OK
        assert (await fetcher("show", import_id, "--wait", "--server", service.base)).code == Exit.CANCELLED
        assert service.traces() == []


async def test_ctrl_c_cancels_what_was_waited_for(tmp_path: Path) -> None:
    """Whoever presses Ctrl-C wants the import gone, and it is."""
    opened = asyncio.Event()
    slow = behaviours.gated(behaviours.serve(qcow2()), opened)
    async with Origin({"/d": slow}) as origin, Running(tmp_path, origin) as service:
        process = await spawn("submit", origin.url("/d"), "--wait", "--server", service.base, cwd=tmp_path)
        async with asyncio.timeout(30):
            while not (found := (await service.get("/imports"))["imports"]):
                await asyncio.sleep(0.02)
            await asyncio.sleep(0.3)  # It has its answer, and follows.
            process.send_signal(signal.SIGINT)
            _out, err = await process.communicate()
        assert process.returncode == Exit.INTERRUPTED
        assert b"Cancelled" in err
        assert b"Traceback" not in err
        assert (await service.get(f"/imports/{found[0]['id']}"))["state"] == "cancelled"
        assert service.traces() == []


async def test_a_slow_source_is_followed_in_a_real_terminal(tmp_path: Path) -> None:
    """The bar moves, with amount, rate and time left; Ctrl-C takes it away and cancels on the server."""
    body = qcow2() + bytes(8_000_000)
    slow = behaviours.serve(body, bytes_per_second=2_000_000)
    async with Origin({"/d": slow}) as origin, Running(tmp_path, origin) as service:
        arguments = ("submit", origin.url("/d"), "--wait", "--name", "disk", "--server", service.base)
        async with Terminal(*arguments, columns=80, cwd=tmp_path) as terminal:
            first = await terminal.until("left")
            assert re.search(
                r"disk .*━.* [0-9.]+ [KM]iB of 7.9 MiB [0-9.]+ [KM]iB/s, [0-9.:]+ (s|min) left", first
            )
            amount = first.partition(" of ")[0].split()[-2:]
            async with asyncio.timeout(30):
                while (await terminal.until("left")).partition(" of ")[0].split()[-2:] == amount:
                    await asyncio.sleep(0.02)
            terminal.press("\x03")
            await terminal.until("Cancelled import")
            assert await terminal.ended() == Exit.INTERRUPTED
            assert "left" not in " ".join(terminal.screen.shown()).replace("nothing of it is left", "")
            assert len(terminal.screen.shown()) == 1
        assert (await service.get("/imports"))["imports"][0]["state"] == "cancelled"
        assert service.traces() == []


async def test_images_are_listed_and_shown(fetcher: Fetcher, tmp_path: Path) -> None:
    """As lines in a pipe, as a table on a terminal, and one of them with all that is known."""
    async with Origin({"/d": behaviours.serve(qcow2())}) as origin, Running(tmp_path, origin) as service:
        ended = await service.run(
            url=origin.url("/d"), disk_format="qcow2", name="disk", tags=["a"], properties={"os": "x"}
        )
        listed = await fetcher("images", "--server", service.base)
        assert listed.out == f"{ended['image_id']}\tactive\tqcow2\t256 KiB\tdisk\n"
        assert (await fetcher("images", "--name", "other", "--server", service.base)).out == ""
        as_json = await fetcher("images", "--json", "--server", service.base)
        assert as_json.json["images"][0]["id"] == ended["image_id"]
        shown = await fetcher("show", ended["image_id"], "--server", service.base)
        assert ended["digests"]["sha512"] in shown.out
        assert "262,144 bytes (256 KiB)" in shown.out
        both = await fetcher("show", ended["image_id"], "--json", "--server", service.base)
        assert both.json["os"] == "x"
        assert (await fetcher("show", ended["id"], "--json", "--server", service.base)).json["id"] == ended[
            "id"
        ]


async def test_on_a_terminal_people_read_tables_and_words(
    fetcher: Fetcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Headings, a bar that goes away, and the verdict; nothing for programs in between."""
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("COLUMNS", "140")
    async with Origin({"/d": behaviours.serve(qcow2())}) as origin, Running(tmp_path, origin) as service:
        empty = await fetcher("imports", "--server", service.base)
        assert "None yet." in empty.err
        arguments = ("submit", origin.url("/d"), "--wait", "--server", service.base)
        done = await fetcher(*arguments)
        assert "✓ succeeded" in done.err
        assert done.out == ""
        submitted = await fetcher("submit", origin.url("/d"), "--server", service.base)
        assert "Follow it with" in submitted.err
        await service.ended(submitted.out.strip())
        for command, heading in (("imports", "STATE"), ("images", "FORMAT"), ("limits", "WHAT IT IS")):
            assert heading in (await fetcher(command, "--server", service.base)).out
        more = await fetcher("imports", "--limit", "1", "--server", service.base)
        assert "More: --marker" in more.err
        limited = await fetcher("submit", "ftp://x", "--server", service.base)
        assert limited.code == Exit.REFUSED
        assert "its scheme ftp is none of" in limited.err
        cancelled = await fetcher("cancel", submitted.out.strip(), "--server", service.base)
        assert cancelled.code == Exit.USAGE


async def test_a_server_that_goes_away_is_said(
    fetcher: Fetcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever waits is told that the import goes on, when the server does not come back."""
    monkeypatch.setattr("fetcher.cli.server.remote.RECONNECT_SECONDS", 0.01)
    document = b'{"id": "1", "state": "queued", "name": "x", "url": "u", "phase": null, "attempts": [], \
"progress": {"received_bytes": 0, "expected_bytes": null, "bytes_per_second": null, "seconds_left": null}}'
    event = b"event: progress\ndata: " + document + b"\n\n"
    stream = behaviours.serve(event, fields={"Content-Type": "text/event-stream"})
    routes = {"/imports": behaviours.serve(document), "/imports/1/events": stream}
    async with Origin(routes) as origin:
        result = await fetcher("submit", "u", "--wait", "--server", origin.url("").rstrip("/"))
    assert result.code == Exit.UNREACHABLE
    assert "keeps breaking off" in result.err


async def test_limits_are_those_in_force(fetcher: Fetcher, tmp_path: Path) -> None:
    """What the command shows is what the guards publish."""
    async with Running(tmp_path, size={"max_bytes": 123_456}) as service:
        result = await fetcher("limits", "--server", service.base)
        assert "max_bytes\t123456\t" in result.out


async def test_no_server_is_said_plainly(fetcher: Fetcher) -> None:
    """Nobody reads a traceback because a server is down."""
    result = await fetcher("imports", "--server", "http://127.0.0.1:1")
    assert result.code == Exit.UNREACHABLE
    assert "fetcher serve" in result.err
    as_json = await fetcher("imports", "--json", "--server", "http://127.0.0.1:1")
    assert as_json.json["error"]["code"] == "unreachable"


async def test_stranger_is_told_from_a_server_of_ours(fetcher: Fetcher) -> None:
    """Something else on the port is named as such, not shown as an empty list."""
    async with Origin({"*": behaviours.serve(b"hello")}) as origin:
        result = await fetcher("imports", "--server", origin.url("").rstrip("/"))
        assert result.code == Exit.UNREACHABLE
        assert "not Glance Fetcher" in result.err


@pytest.mark.parametrize("server", ["ftp://x", "http://", "http://x?y"])
async def test_malformed_server_is_a_usage_error(fetcher: Fetcher, server: str) -> None:
    """A typing mistake is told as one."""
    assert (await fetcher("limits", "--server", server)).code == Exit.USAGE


@pytest.mark.parametrize("arguments", [("nope",), ("submit",), ("submit", "u", "--property", "x")])
async def test_wrong_command_lines_end_with_2(fetcher: Fetcher, arguments: tuple[str, ...]) -> None:
    """As every command line tool does."""
    assert (await fetcher(*arguments)).code == Exit.USAGE


def test_every_code_has_an_exit_code() -> None:
    """Whatever an import or a request ends in, the exit code says which kind it was."""
    for code in table():
        document = {"state": "failed", "verdict": {"code": code}}
        assert exit_of_import(document) in MEANINGS
        assert exit_of_problem(code, 400) in MEANINGS
    assert set(MEANINGS) == set(Exit)
    assert exit_of_import({"state": "failed", "verdict": {"code": "store-full"}}) is Exit.BUSY
    assert exit_of_problem("", 502) is Exit.FAULT
