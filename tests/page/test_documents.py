"""The documents' site in a browser, as the service serves it."""

import asyncio
from pathlib import Path

import pytest

from fetcher.api import documents
from tests.page.browser import Browser
from tests.service import Running
from tests.test_site import site

__all__ = ["site"]  # The fixture; built once more for this module.
PAGES = ("", "tutorial/", "errors/", "configuration/")


@pytest.mark.timeout(300)
async def test_it_works_under_its_policy_and_keeps_nobody_out(
    browser: Browser, axe: str, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Light and wide, dark and narrow: axe-core and the console find nothing, and no page is too wide."""
    monkeypatch.setattr(documents, "SITE", site)
    async with Running(tmp_path) as service:
        browser.base = service.base

        def visit() -> list[str]:
            found: list[str] = []
            browser.driver.set_script_timeout(120)
            for width, is_dark in ((1440, False), (768, True), (360, False)):
                browser.look_like(width=width, is_dark=is_dark)
                for path in PAGES:
                    browser.open(f"/docs/{path}")
                    browser.run("localStorage.clear()")  # Else the first visit's colours are kept.
                    browser.open(f"/docs/{path}")
                    name = f"{path} at {width}"
                    found += [f"{name}: {one}" for one in (*browser.complaints(), *browser.barriers(axe))]
                    if browser.run("return document.documentElement.scrollWidth > innerWidth"):
                        found.append(f"{name}: wider than the window")
                    loaded = browser.run("return performance.getEntriesByType('resource').map(e => e.name)")
                    found += [f"{name}: loads {link}" for link in loaded if not link.startswith(service.base)]
            return found

        assert await asyncio.to_thread(visit) == []


async def test_search_finds_without_a_network(
    browser: Browser, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader who types a code is led to its page; the index and its worker come from the site itself."""
    monkeypatch.setattr(documents, "SITE", site)
    async with Running(tmp_path) as service:
        browser.base = service.base

        def search() -> tuple[str, list[str]]:
            browser.open("/docs/")
            field = browser.find("[data-md-component=search-query]")
            field.click()
            field.send_keys("checksum-mismatch")
            result = browser.until(lambda: browser.find(".md-search-result__link").get_attribute("href"))
            return result, browser.complaints()

        result, complaints = await asyncio.to_thread(search)
    assert result.startswith(f"{service.base}/docs/errors/")
    assert complaints == []
