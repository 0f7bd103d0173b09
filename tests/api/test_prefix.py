"""The service below a path of another site, whether the proxy takes that path off or not."""

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from html import unescape
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from fetcher.api.app import build_app
from fetcher.config import Current, load_settings
from fetcher.settings.server import OWN_PATHS
from tests.images import qcow2
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.service import Running

ROOT = Path(__file__).parents[2]
LINK = re.compile(r'(?:href|src|action|formaction|hx-get|hx-post|sse-connect)="([^"#?][^"]*)"')
HTML = {"Accept": "text/html"}


@pytest_asyncio.fixture
async def service(tmp_path: Path) -> AsyncIterator[Running]:
    """A service that is known as http://127.0.0.1/cloud/images, with one image."""
    async with (
        Origin({"/d": behaviours.serve(qcow2())}) as origin,
        Running(tmp_path, origin, server={"public_url": "http://127.0.0.1/cloud/images"}) as running,
    ):
        await running.run(url=origin.url("/d"), disk_format="qcow2")
        yield running


@pytest.mark.parametrize("sent", ["/cloud/images", ""], ids=["as it came", "taken off"])
async def test_every_link_of_the_page_leads_back_through_the_proxy(service: Running, sent: str) -> None:
    """From the first page on, what a browser can click or load begins with the path, and is there."""
    waiting, seen = ["/cloud/images/"], set[str]()
    while waiting and len(seen) < 60:
        link = waiting.pop()
        seen.add(link)
        assert link.startswith("/cloud/images/"), link
        async with service.client.get(sent + link.removeprefix("/cloud/images"), headers=HTML) as answer:
            # What only answers to POST says so; an event stream goes on for as long as it is looked at.
            assert answer.status in {200, 405}, link
            if answer.content_type == "text/html":
                found = {unescape(match) for match in LINK.findall(await answer.text())}
                waiting += sorted({name for name in found if "://" not in name} - seen - set(waiting))
    assert any("/page/images/" in link for link in seen)
    assert any("/page/static/page.css" in link for link in seen)


async def test_redirects_lead_back_through_the_proxy(service: Running) -> None:
    """A form sends the browser on below the path, and the scripts ask there too."""
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(service.base, cookie_jar=jar) as browser:
        async with browser.get("/cloud/images/", headers=HTML) as answer:
            text = await answer.text()
            assert 'data-root="/cloud/images/"' in text
        proof = re.search(r'name="proof" value="([^"]+)"', text)
        assert proof
        form = {"url": "https://a.example/b", "disk_format": "raw", "proof": proof[1]}
        sent = {"data": form, "allow_redirects": False, "headers": {"Origin": service.base}}
        async with browser.post("/cloud/images/page/submit", **sent) as answer:
            assert answer.headers["Location"].startswith("/cloud/images/page/imports/"), await answer.text()
    async with service.client.get("/page/desk", allow_redirects=False) as answer:
        assert answer.headers["Location"] == "/cloud/images/page/dashboard"


async def test_links_of_the_apis_begin_with_the_public_url(service: Running) -> None:
    """What programs are handed leads there by itself."""
    status, _, headers = await service.call(
        "POST", "/cloud/images/imports", json={"url": "https://a.example/b"}
    )
    assert status == 202
    assert headers["location"].startswith("http://127.0.0.1/cloud/images/imports/")
    status, document, _ = await service.call("GET", "/cloud/images/v2/images")
    assert (status, document["images"][-1]["status"]) == (200, "active")
    _, versions, _ = await service.call("GET", "/cloud/images/versions")
    assert versions["versions"][0]["links"][0]["href"] == "http://127.0.0.1/cloud/images/v2/"


async def test_the_command_line_finds_it_below_the_path(service: Running) -> None:
    """A server's address may have a path."""
    command = await asyncio.create_subprocess_exec(
        *(f"{sys.prefix}/bin/fetcher", "images", "--server", f"{service.base}/cloud/images"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    told, complained = await command.communicate()
    assert command.returncode == 0, complained
    assert b"qcow2" in told


@pytest.mark.parametrize("path", ["/cloud/images/../limits", "/cloud/imagesque/limits"])
async def test_a_path_beside_the_prefix_is_none_of_ours(service: Running, path: str) -> None:
    """Only the whole path is taken off, once."""
    host, _, port = service.base.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 404"), answer


def test_the_services_own_paths_are_known() -> None:
    """A path in front that could be taken for one of ours is refused; the list is that of the routes."""
    app = build_app(Current(load_settings()), None)
    routes = {route.path.split("/")[1] for route in app.routes}  # type: ignore[attr-defined] # every route of ours has a path
    assert routes - {""} <= OWN_PATHS
