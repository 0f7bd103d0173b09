"""What is shipped for operators works with the service that it is shipped with."""

import asyncio
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import tomlkit
import trustme

from tests.images import HTML, qcow2
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.service import Running

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"


async def run(*command: str) -> tuple[int, str]:
    """Run a command; its exit code and everything it said."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    out, _ = await process.communicate()
    return process.returncode or 0, out.decode()


async def test_dashboard_and_alerts_ask_for_metrics_that_there_are(tmp_path: Path) -> None:
    """A panel that shows nothing, or an alert that can never fire, is worse than none."""
    async with (
        Origin({"/d": behaviours.serve(qcow2()), "/p": behaviours.serve(HTML)}) as origin,
        Running(tmp_path, origin) as service,
    ):
        await service.run(url=origin.url("/d"), disk_format="qcow2")
        await service.run(url=origin.url("/p"))
        async with service.client.get("/metrics") as answer:
            text = await answer.text()
    there = set(re.findall(r"^(fetcher_\w+|process_\w+)", text, re.MULTILINE)) | {"fetcher_imports_by_phase"}
    board: dict[str, Any] = json.loads((DEPLOY / "grafana.json").read_text())
    asked = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    asked += re.findall(r"expr: (.*)", (DEPLOY / "alerts.yml").read_text())
    names = {name for words in asked for name in re.findall(r"(?:fetcher|process)_\w+", words)}
    assert len(names) > 10
    assert names <= there
    for panel in board["panels"]:
        assert panel["targets"], panel["title"]


async def test_nginx_takes_the_example(tmp_path: Path) -> None:
    """The example is what nginx accepts, with a certificate in place."""
    nginx = shutil.which("nginx")
    if nginx is None:
        pytest.skip("Debian's package nginx-light is not installed")
    issued = trustme.CA().issue_cert("images.example.org")
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "fullchain.pem")
    text = (DEPLOY / "nginx.conf").read_text().replace("/etc/ssl/glance-fetcher", str(tmp_path))
    whole = tmp_path / "nginx.conf"
    whole.write_text(f"pid {tmp_path}/pid; error_log stderr; events {{}} http {{ access_log off;\n{text}\n}}")
    code, said = await run(nginx, "-t", "-c", str(whole))
    assert code == 0, said
    assert "warn" not in said


async def test_the_unit_shuts_the_service_in() -> None:
    """Systemd's own judgement of the unit: little is exposed."""
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("systemd-analyze is not installed")
    code, said = await run(tool, "security", "--offline=true", str(DEPLOY / "glance-fetcher.service"))
    found = re.search(r"exposure level for .*: ([0-9.]+)", said)
    assert code == 0, said
    assert found is not None, said
    assert float(found[1]) <= 1.5


def test_the_unit_waits_longer_than_the_service_needs() -> None:
    """Running imports are parked at a stop, never killed."""
    unit = (DEPLOY / "glance-fetcher.service").read_text()
    seconds = re.search(r"TimeoutStopSec=(\d+)", unit)
    assert seconds is not None
    base = tomlkit.parse((ROOT / "config.toml").read_text()).unwrap()
    assert int(seconds[1]) > base["server"]["shutdown_seconds"] + 5


def test_the_container_copies_what_the_package_needs() -> None:
    """Everything that the wheel is built from is there when it is built."""
    copied = (DEPLOY / "Dockerfile").read_text()
    for name in (
        "requirements.lock",
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "config.toml",
        "server.py",
        "fetcher",
    ):
        assert re.search(rf"^COPY.* {re.escape(name)} |^COPY {re.escape(name)} ", copied, re.MULTILINE), name
