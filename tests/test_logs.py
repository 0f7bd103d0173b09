"""Logs: one line an event, whatever a URL or a header holds."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.images import qcow2
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.processes import Process
from tests.service import Running

ROOT = Path(__file__).parent.parent
SCRIPT = """
import logging, structlog
from fetcher.config import load_settings
from fetcher.logs import set_up_logs
set_up_logs(load_settings(changes={"log": {"format": FORMAT, "level": "info"}}))
structlog.get_logger().info("import.ended", url="https://a.example/\\n{forged} \\x1b[31m%s")
structlog.get_logger().debug("unseen")
logging.getLogger("other").warning("from\\na library %s", "here")
try:
    raise ValueError("x")
except ValueError:
    structlog.get_logger().exception("fault")
"""


@pytest.mark.parametrize("form", ["json", "text", "auto"])
def test_untrusted_text_cannot_forge_a_line(form: str) -> None:
    """Newlines and terminal codes arrive escaped; a library's lines have the same form as ours."""
    code = SCRIPT.replace("FORMAT", repr(form))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "\x1b[31m%s" not in done.stderr
    assert "\\x0a{forged}" in done.stderr.replace("\\\\", "\\")
    assert "unseen" not in done.stderr
    assert done.stdout == ""
    if form != "text":
        lines = [json.loads(line) for line in done.stderr.splitlines()]
        assert [line["event"] for line in lines] == ["import.ended", "from\\x0aa library here", "fault"]
        assert "ValueError" in lines[2]["exception"]


async def test_each_line_carries_the_ids_of_its_own_import(tmp_path: Path) -> None:
    """Also when one import's end is what lets the next begin."""
    async with Origin({"*": behaviours.serve(qcow2())}) as origin:
        running = Running(tmp_path, origin, imports={"max_running": 1}, log={"format": "json"})
        running.write_config()
        async with Process(running.config) as service:
            created = []
            for number in range(3):
                fields = {"url": origin.url(f"/{number}"), "disk_format": "qcow2"}
                created.append((await service.call("POST", "/imports", json=fields))[1])
            for one in created:
                await service.until(one["id"], "succeeded")
            await service.kill(signal.SIGTERM)
            said = [json.loads(line) for line in service.said if line.startswith(b"{")]
    ended = {line["import_id"]: line for line in said if line["event"] == "import.succeeded"}
    for one in created:
        line = ended[one["id"]]
        assert (line["request_id"], line["image_id"]) == (one["request_id"], one["image_id"])


def test_a_closed_log_loses_lines_and_nothing_else() -> None:
    """A service whose standard error is gone goes on with its work."""
    code = (
        "import logging, sys, structlog\nfrom fetcher.config import load_settings\n"
        "from fetcher.logs import set_up_logs\n"
        "set_up_logs(load_settings())\nsys.stderr.close()\nstructlog.get_logger().error('lost')\n"
        "logging.getLogger('x').error('lost too')\nprint('alive')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "alive\n"


async def test_i15_a_log_that_nobody_reads_stops_nothing(tmp_path: Path) -> None:
    """Far more lines than a pipe holds: the service answers, ends when told to, and counts what was lost."""
    async with Origin({}) as origin:
        running = Running(
            tmp_path, origin, imports={"max_submits_per_minute": 100_000}, log={"level": "debug"}
        )
        running.write_config()
        async with Process(running.config) as service:
            service.pause_reading()
            for _ in range(1000):
                status, _document = await service.call(
                    "POST", "/imports", json={"url": "ftp://x/" + "y" * 500}
                )
                assert status == 400
            assert (await service.call("GET", "/healthz"))[0] == 200
            service.resume_reading()
            assert await service.kill(signal.SIGTERM) in {0, -signal.SIGTERM}


def test_i15_a_full_disk_under_the_log_ends_nothing(tmp_path: Path) -> None:
    """A start with a standard error that takes nothing serves all the same."""
    config = tmp_path / "config.toml"
    config.write_text('[server]\nlisten = "127.0.0.1:0"\n[store]\nfolder = "data"\nreserve_percent = 0.0\n')
    with Path("/dev/full").open("w") as full:
        done = subprocess.Popen([sys.executable, "server.py", "--config", str(config)], stderr=full, cwd=ROOT)
        try:
            with pytest.raises(subprocess.TimeoutExpired):
                done.wait(timeout=5)
        finally:
            done.terminate()
            assert done.wait(60) in {0, -signal.SIGTERM}


def test_i15_lines_that_were_lost_are_counted() -> None:
    """Whoever reads again learns how many there were."""
    code = (
        "import os, time\nfrom fetcher import log_lines\n"
        "for number in range(20_000): log_lines.STDERR.write(f'{number:06d} ' + 'x' * 1000 + chr(10))\n"
        "print('alive', flush=True)\ntime.sleep(1)\nlog_lines.STDERR.write('last' + chr(10))\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=-1, stderr=-1, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "alive\n"  # All were taken, though nobody has read one.
        said = process.stderr.read().splitlines()
    lost = sum(json.loads(line)["lines"] for line in said if line.startswith("{"))
    assert lost > 1000
    assert lost + len([line for line in said if line[0].isdigit()]) == 20_000
    assert said[-1] == "last"


async def test_i15_the_deletion_of_an_image_has_its_line(tmp_path: Path) -> None:
    """In the audit trail: who deleted what of whose."""
    async with Running(tmp_path) as service:
        _status, image, _headers = await service.call("POST", "/v2/images", json={"name": "gone"})
        assert (await service.call("DELETE", f"/v2/images/{image['id']}"))[0] == 204
        connection = service.service.app.state.services.index.connection
        sql = "SELECT action, user_id, image_id, detail FROM audit"
        [line] = await connection.read(lambda db: db.conn.execute(sql).fetchall())
        assert line[:3] == ("deleted", "local", image["id"])
        assert json.loads(line[3])["name"] == "gone"
