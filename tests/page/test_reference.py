"""The API document, drawn in the page: whole, readable, and from this service alone."""

import asyncio
import re
from pathlib import Path

import pytest

from fetcher.api.page.static import FOLDER
from tests.page.browser import Browser
from tests.service import Running

PATH = "/page/api"
HTML = {"Accept": "text/html"}


def test_nothing_in_it_asks_another_host() -> None:
    """The vendored file would load its makers' logo; that one address is replaced."""
    script = (FOLDER / "redoc.js").read_text()
    assert "cdn." not in script
    assert script.count("/page/static/icon.svg") == 1


async def test_its_policy_allows_no_inline_script_and_no_other_host(tmp_path: Path) -> None:
    """Redoc's style elements are allowed by their digests, one by one; nothing else is looser."""
    async with Running(tmp_path) as service, service.client.get(PATH, headers=HTML) as answer:
        policy = answer.headers["Content-Security-Policy"]
        text = await answer.text()
    assert "unsafe" not in policy
    assert "script-src 'self';" in policy
    assert "//" not in policy
    assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=", text)
    assert "<noscript>" in text


@pytest.mark.timeout(400)
async def test_it_is_drawn_and_keeps_nobody_out(browser: Browser, axe: str, tmp_path: Path) -> None:
    """Every operation is there with its words; axe-core finds no barrier, the console is silent."""
    async with Running(tmp_path) as service:
        browser.base = service.base
        document = await service.get("/openapi.json")

        def visit() -> tuple[str, list[str]]:
            browser.driver.set_script_timeout(300)  # Hundreds of fields, on a machine that is busy.
            browser.complaints()
            browser.look_like(width=1440, is_dark=True)
            browser.open(PATH)
            drawn = "return document.getElementById('redoc').dataset.drawn === 'yes'"
            browser.until(lambda: browser.run(drawn))
            shown, found = (
                browser.run("return document.getElementById('redoc').textContent"),
                [*browser.complaints(), *browser.barriers(axe)],
            )
            for link in browser.run("return performance.getEntriesByType('resource').map(e => e.name)"):
                found += [f"loads {link}"] * (not link.startswith((service.base, "data:")))
            browser.look_like(width=360, is_dark=False)
            if browser.run("return document.documentElement.scrollWidth > innerWidth"):
                found.append("wider than 360")
            return shown, found

        shown, found = await asyncio.to_thread(visit)
    assert found == []
    for methods in document["paths"].values():
        for operation in methods.values():
            assert operation["summary"] in shown
