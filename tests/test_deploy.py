"""What is shipped for operators works with the service that it is shipped with."""

import asyncio
import io
import json
import os
import re
import shutil
import socket
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import tomlkit
import trustme

from fetcher.config import data_folder, load_settings
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


def test_alerts_have_a_severity_and_a_runbook_that_there_is() -> None:
    """Whoever is woken finds the place that says what to do."""
    rules = (DEPLOY / "alerts.yml").read_text().split("- alert: ")[1:]
    assert rules
    for rule in rules:
        assert re.search(r"severity: (page|ticket)\}", rule), rule
        runbook = re.search(r"runbook: (docs/\S+\.md)#(\S+)", rule)
        assert runbook is not None, rule
        titles = re.findall(r"^#+ (.*)$", (ROOT / runbook[1]).read_text(), re.MULTILINE)
        assert runbook[2] in {title.lower().replace(" ", "-") for title in titles}


def temporary_paths(folder: Path) -> str:
    """Give nginx folders of its own: those of Debian belong to root."""
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    return " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)


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
    whole.write_text(
        f"pid {tmp_path}/pid; error_log stderr; events {{}} "
        f"http {{ access_log off; {temporary_paths(tmp_path)}\n{text}\n}}"
    )
    code, said = await run(nginx, "-t", "-e", "stderr", "-c", str(whole))
    assert code == 0, said
    assert "warn" not in said


@asynccontextmanager
async def nginx_before(service: Running, folder: Path) -> AsyncIterator[tuple[str, ssl.SSLContext]]:
    """Run the example in front of a service, on a free port; its address, and what trusts its certificate."""
    nginx = shutil.which("nginx")
    if nginx is None:
        pytest.skip("Debian's package nginx-light is not installed")
    authority = trustme.CA()
    issued = authority.issue_cert("images.example.org", "127.0.0.1")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    issued.cert_chain_pems[0].write_to_path(folder / "fullchain.pem")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    text = (DEPLOY / "nginx.conf").read_text()
    for before, after in (
        ("/etc/ssl/glance-fetcher", str(folder)),
        ("/var/lib/glance-fetcher/data/blobs/", f"{service.data}/blobs/"),
        ("server 127.0.0.1:9292", f"server {service.base.removeprefix('http://')}"),
        ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
    ):
        assert before in text
        text = text.replace(before, after)
    text = re.sub(r"listen \[::\]:443.*", "", text)
    # The first server is the one on port 80, which a test may not have.
    first = text.index("server {", text.index("upstream"))
    text = text[:first] + text[text.index("server {", first + 1) :]
    user = "user root;" if os.getuid() == 0 else ""
    whole = folder / "nginx.conf"
    whole.write_text(
        f"{user} daemon off; pid {folder}/pid; error_log stderr; events {{}} "
        f"http {{ access_log off; {temporary_paths(folder)}\n{text}\n}}"
    )
    process = await asyncio.create_subprocess_exec(
        nginx, "-e", "stderr", "-c", str(whole), stderr=asyncio.subprocess.PIPE
    )
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    try:
        async with asyncio.timeout(30):
            while True:
                assert process.returncode is None, (await process.stderr.read()).decode()  # type: ignore[union-attr] # its stderr is a pipe
                with suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    break
                await asyncio.sleep(0.02)
        yield f"https://127.0.0.1:{port}", trust
    finally:
        process.terminate()
        await process.communicate()


async def test_nginx_sends_the_images_itself(tmp_path: Path) -> None:
    """A download goes by X-Accel-Redirect, whole and in part, with the service's own ETag and digests."""
    body = qcow2(clusters=40)
    rules = {"x_accel_location": "/blobs", "public_url": "https://images.example.org"}
    async with (
        Origin({"/d": behaviours.serve(body)}) as origin,
        Running(tmp_path, origin, server=rules) as service,
        nginx_before(service, tmp_path) as (base, trust),
        aiohttp.ClientSession(headers={"Host": "images.example.org"}) as client,
    ):
        ended = await service.run(url=origin.url("/d"), disk_format="qcow2")
        sha256 = ended["digests"]["sha256"]
        path = f"{base}/v2/images/{ended['image_id']}/file"
        async with client.get(path, ssl=trust) as answer:
            assert answer.status == 200
            assert await answer.read() == body
            assert answer.headers["Server"].startswith("nginx")
            assert answer.headers["ETag"] == f'"{sha256}"'
            assert "sha-256=:" in answer.headers["Repr-Digest"]
            assert answer.headers["Content-Type"] == "application/octet-stream"
            assert answer.headers["X-OpenStack-Request-ID"].startswith("req-")
            assert "X-Accel-Redirect" not in answer.headers
        async with client.get(path, ssl=trust, headers={"Range": "bytes=100-199"}) as answer:
            assert (answer.status, await answer.read()) == (206, body[100:200])
        async with client.get(path, ssl=trust, headers={"If-None-Match": f'"{sha256}"'}) as answer:
            assert answer.status == 304
        async with client.get(f"{base}/blobs/{sha256[:2]}/{sha256}", ssl=trust) as answer:
            assert answer.status == 404
        empty = {"disk_format": "qcow2", "container_format": "bare"}
        _, image, _ = await service.call("POST", "/v2/images", json=empty)
        upload = {"data": io.BytesIO(body), "headers": {"Content-Type": "application/octet-stream"}}
        async with client.put(f"{base}/v2/images/{image['id']}/file", ssl=trust, **upload) as answer:
            assert answer.status == 204
        async with client.get(f"{base}/imports/{ended['id']}/events", ssl=trust) as answer:
            assert b"event: end" in await answer.read()


async def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    """With the commands in place, systemd finds no mistake in it."""
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("Debian's package systemd is not installed")
    unit = tmp_path / "glance-fetcher.service"
    text = (DEPLOY / unit.name).read_text()
    unit.write_text(text.replace("/opt/glance-fetcher/.venv/bin/fetcher", "/bin/true"))
    code, said = await run(tool, "verify", "--man=no", str(unit))
    assert (code, said) == (0, "")


async def test_systemd_takes_the_socket(tmp_path: Path) -> None:
    """The socket goes with the service, and names the port that the service is reached at."""
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("Debian's package systemd is not installed")
    for kind in ("socket", "service"):
        text = (DEPLOY / f"glance-fetcher.{kind}").read_text()
        text = text.replace("/opt/glance-fetcher/.venv/bin/fetcher", "/bin/true")
        (tmp_path / f"glance-fetcher.{kind}").write_text(text)
    code, said = await run(tool, "verify", "--man=no", str(tmp_path / "glance-fetcher.socket"))
    assert (code, said) == (0, "")
    base = tomlkit.parse((ROOT / "config.toml").read_text()).unwrap()
    assert f"ListenStream={base['server']['listen']}\n" in (DEPLOY / "glance-fetcher.socket").read_text()


def test_the_configuration_for_the_container_is_valid() -> None:
    """As it is copied: it listens to others, lets nobody in without a token, and stores on the volume."""
    config = DEPLOY / "container.toml"
    settings = load_settings(config)
    assert settings.server.host == "0.0.0.0"
    assert settings.auth.mode == "tokens"
    volume = re.search(r"^VOLUME (.*)$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    assert volume is not None
    assert data_folder(settings, config).is_relative_to(volume[1])


async def test_the_unit_shuts_the_service_in() -> None:
    """Systemd's own judgement of the unit: little is exposed."""
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("Debian's package systemd is not installed")
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


async def test_the_container_file_has_no_known_mistake() -> None:
    """Hadolint finds nothing; what it is told to pass over has its reason beside it."""
    tool = shutil.which("hadolint") or shutil.which("hadolint", path=str(Path(sys.executable).parent))
    if tool is None:
        pytest.skip("hadolint is not installed; `make setup-dev` brings it")
    assert await run(tool, str(DEPLOY / "Dockerfile")) == (0, "")


def test_the_container_copies_what_the_package_needs() -> None:
    """Everything that the wheel is built from is there when it is built."""
    copied = (DEPLOY / "Dockerfile").read_text()
    for name in (
        "requirements*.lock",
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "config.toml",
        "server.py",
        "fetcher",
    ):
        assert re.search(rf"^COPY.* {re.escape(name)} |^COPY {re.escape(name)} ", copied, re.MULTILINE), name
