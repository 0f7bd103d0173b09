"""A browser for the whole session, handed to each test as new."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.page.browser import CHROMEDRIVER, CHROMIUM, Browser, fetch_axe


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """One browser for all tests."""
    if CHROMIUM is None or CHROMEDRIVER is None:
        pytest.skip("Debian's packages chromium and chromium-driver are not installed")
    browser = Browser()
    yield browser
    browser.quit()


@pytest.fixture
def browser(chromium: Browser) -> Browser:
    """The browser with nothing remembered."""
    chromium.driver.get("about:blank")
    chromium.driver.delete_all_cookies()
    chromium.look_like()
    chromium.complaints()
    return chromium


@pytest.fixture(scope="session")
def axe() -> str:
    """The script of axe-core."""
    script = fetch_axe(Path(__file__).parents[2] / ".venv" / "axe")
    if script is None:
        pytest.skip("axe-core is not there: apt-get install npm, where npm's registry can be reached")
    return script
