"""A real browser for tests: Debian's headless Chromium, steered by its driver.

All calls block, so tests run them in a thread while the service goes on in
the loop: `await look(browser.open, "/")`.
"""

import hashlib
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service as Driver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

CHROMIUM, CHROMEDRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--force-color-profile=srgb", "--hide-scrollbars"),
)
PATIENT_SECONDS = 30.0
AXE = "axe-core@4.14.1"
AXE_SHA256 = "e6b0ce02b84d892e2e33e403485e7f3d6c29e2be6df65daf44d89ba564139745"
AXE_RULES = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]}
}


class Browser:
    """One Chromium with a fresh profile."""

    def __init__(self) -> None:
        assert CHROMIUM is not None
        self._profile = tempfile.TemporaryDirectory(prefix="fetcher-chromium-", ignore_cleanup_errors=True)
        options = Options()
        options.binary_location = CHROMIUM
        for flag in (*FLAGS, f"--user-data-dir={self._profile.name}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Driver(CHROMEDRIVER))
        self.base = ""

    def quit(self) -> None:
        """End it."""
        self.driver.quit()
        self._profile.cleanup()

    def look_like(self, *, width: int = 1280, height: int = 800, is_dark: bool = False) -> None:
        """Set the size of the window and the colours that the system asks for."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def open(self, path: str) -> None:
        """Load a page of the service."""
        self.driver.get(self.base + path)

    def find(self, selector: str) -> WebElement:
        """The first element that a CSS selector finds."""
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def text(self, selector: str = "main") -> str:
        """What people read there."""
        return self.find(selector).text

    def run(self, script: str, *arguments: Any) -> Any:
        """Run a script in the page; the page's own policy does not hold for it."""
        return self.driver.execute_script(script, *arguments)

    def press(self, *keys: str) -> None:
        """Type on the keyboard, into whatever has the focus."""
        self.driver.switch_to.active_element.send_keys(*keys)

    def tab_to(self, is_there: Callable[[WebElement], bool], most: int = 60) -> None:
        """Press the tab key until the focus is somewhere."""
        for _ in range(most):
            if is_there(self.driver.switch_to.active_element):
                return
            self.press(Keys.TAB)
        raise AssertionError("the tab key never gets there")

    def until(self, is_true: Callable[[], Any]) -> Any:
        """Wait until something is true of the page."""
        deadline = time.monotonic() + PATIENT_SECONDS
        while time.monotonic() < deadline:
            try:
                found = is_true()
            except Exception as error:  # noqa: BLE001 - an element is replaced while it is looked at
                found, _ = None, error
            if found:
                return found
            time.sleep(0.02)
        raise AssertionError(f"it never came true; the page says:\n{self.text('body')}")

    def complaints(self) -> list[str]:
        """What the browser's console has to say: refused scripts, failed loads, faults of ours."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def picture(self, path: Path, *, width: int, is_dark: bool) -> None:
        """Take a picture of the whole page."""
        self.look_like(width=width, is_dark=is_dark)
        tall = self.run("return document.documentElement.scrollHeight")
        self.look_like(width=width, height=min(max(tall, 600), 2400), is_dark=is_dark)
        self.driver.save_screenshot(str(path))
        self.look_like(width=width, is_dark=is_dark)

    def barriers(self, axe: str) -> list[str]:
        """What keeps people out of the page, as axe-core finds it."""
        self.run(axe)
        found = self.driver.execute_async_script(
            "const done = arguments[arguments.length - 1]; axe.run(document, arguments[0]).then(done)",
            AXE_RULES,
        )
        return [
            f"{violation['id']}: {violation['help']}: {node['html'][:200]} {node['failureSummary']}"
            for violation in found["violations"]
            for node in violation["nodes"]
        ]


def fetch_axe(folder: Path) -> str | None:
    """The accessibility checker's script, from its npm package; None where that cannot be had."""
    npm = shutil.which("npm")
    if npm is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    archive = folder / "axe-core-4.14.1.tgz"
    if not archive.exists():
        command = [npm, "pack", "--silent", "--pack-destination", str(folder), AXE]
        subprocess.run(command, check=False, capture_output=True, timeout=60)
    if not archive.exists():
        return None
    assert hashlib.sha256(archive.read_bytes()).hexdigest() == AXE_SHA256
    with tarfile.open(archive) as packed:
        script = packed.extractfile("package/axe.min.js")
        assert script is not None
        return script.read().decode()
