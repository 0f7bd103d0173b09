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
