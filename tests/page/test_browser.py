"""The page in a real browser: the main job live, by keyboard, for everybody; hostile text stays text."""

import asyncio
import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from tests.catalogues.test_catalogues import source
from tests.images import HTML, qcow2
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.page.browser import Browser
from tests.page.test_names import mixed
from tests.service import Running

NASTY = "\"'><img src=x onerror=window.owned=1><script>window.owned=1</script><svg onload=window.owned=1>"
look = asyncio.to_thread
SHOWN_FOLDER = """
for (const place of document.querySelectorAll("dd.mono"))
    if (place.textContent.startsWith(arguments[0]))
        place.textContent = "/var/lib/glance-fetcher/data";
"""
PICTURES = Path(__file__).parents[2] / "docs" / "pictures"


async def test_submit_to_active_without_a_mouse(browser: Browser, tmp_path: Path) -> None:
    """URL, Enter, watch, Tab to the image: the main job by keyboard alone."""
    body = qcow2(clusters=20)
    async with Origin({"/d": behaviours.serve(body)}) as origin, Running(tmp_path, origin) as service:
        browser.base = service.base

        def story() -> None:
            browser.open("/")
            browser.press(origin.url("/d"), Keys.ENTER)
            browser.until(lambda: "succeeded" in browser.text("#story"))
            browser.tab_to(lambda element: element.text == "Show the image")
            browser.press(Keys.ENTER)
            browser.until(lambda: hashlib.sha256(body).hexdigest() in browser.text())

        await look(story)
        assert browser.complaints() == []


async def test_every_control_is_reached_by_tab(browser: Browser, tmp_path: Path) -> None:
    """Skip link, navigation, form and table come in the order that they are read; the focus can be seen."""
    async with Running(tmp_path) as service:
        browser.base = service.base

        def story() -> None:
            browser.open("/page/images")
            seen = []
            for _ in range(14):
                browser.press(Keys.TAB)
                element = browser.driver.switch_to.active_element
                name = element.get_attribute("id") or element.text
                seen.append(name)
                style = browser.run("return getComputedStyle(arguments[0]).outlineStyle", element)
                assert style != "none", f"nobody sees that {name} has the focus"
            places = ["Submit", "Imports", "Images", "Limits", "Dashboard"]
            fields = ["Upload a file", "q", "status", "disk_format", "visibility", "Search"]
            assert seen == ["Skip to content", "Glance Fetcher", *places, "◐", *fields]

        await look(story)


async def test_progress_moves_without_loading_again(browser: Browser, tmp_path: Path) -> None:
    """The bar, the rate and the curve follow the bytes; the page is never loaded anew."""
    body = qcow2(clusters=60)
    slow = behaviours.serve(body, bytes_per_second=1_200_000)
    async with Origin({"/d": slow}) as origin, Running(tmp_path, origin) as service:
        browser.base = service.base
        created = await service.submit(url=origin.url("/d"), disk_format="qcow2")

        def story() -> None:
            browser.open(f"/page/imports/{created['id']}")
            browser.run("window.marked = 1")
            values: set[int] = set()

            def has_moved() -> bool:
                values.add(browser.run("return document.querySelector('#story progress')?.value ?? 0"))
                return len(values) > 3

            browser.until(has_moved)
            browser.until(lambda: "iB/s" in browser.text(".figures"))
            assert "Detected format: QCOW2" in browser.text(".timeline")  # Known from the first kilobytes.
            browser.until(lambda: "succeeded" in browser.text("#story"))
            assert browser.run("return window.marked") == 1
            assert (
                browser.run("return document.getElementById('said').textContent") == "The image was imported."
            )

        await look(story)
        assert browser.complaints() == []


async def test_the_list_moves_and_keeps_the_focus(browser: Browser, tmp_path: Path) -> None:
    """New rows come by themselves, and whoever stands on a link still stands there."""
    async with Origin({"/d": behaviours.serve(qcow2())}) as origin, Running(tmp_path, origin) as service:
        browser.base = service.base
        first = await service.run(url=origin.url("/d"), disk_format=None, name="first")
        await look(browser.open, "/page/imports")
        await look(browser.run, "document.querySelector('tbody a').focus()")
        await service.run(url=origin.url("/d"), disk_format=None, name="second")
        await look(browser.until, lambda: "second" in browser.text("tbody"))
        assert await look(browser.run, "return document.activeElement.id") == f"row-{first['id']}"


async def test_what_is_pressed_is_not_replaced(browser: Browser, tmp_path: Path) -> None:
    """A link of a live row that is pressed for longer than a row lives still leads on when it is let go."""
    slow = behaviours.serve(qcow2(clusters=60), bytes_per_second=500_000)
    async with Origin({"/d": slow}) as origin, Running(tmp_path, origin) as service:
        browser.base = service.base
        created = await service.submit(url=origin.url("/d"), disk_format="qcow2")

        def press() -> bool:
            ActionChains(browser.driver).move_to_element(browser.find("tbody a")).click_and_hold().perform()
            return True

        def story() -> None:
            browser.open("/page/imports")
            browser.until(lambda: "iB of" in browser.text("tbody"))
            browser.until(press)  # Again, where the row was replaced between the look and the press.
            ActionChains(browser.driver).pause(2.5).release().perform()
            browser.until(lambda: created["id"] in browser.driver.current_url)

        await look(story)
        assert browser.driver.current_url.endswith(f"/imports/{created['id']}")
        await service.call("DELETE", f"/imports/{created['id']}")


async def test_cancel_in_mid_import(browser: Browser, tmp_path: Path) -> None:
    """One button, and nothing of it is left."""
    async with (
        Origin({"/d": behaviours.stall(qcow2(), 100)}) as origin,
        Running(tmp_path, origin) as service,
    ):
        browser.base = service.base
        created = await service.submit(url=origin.url("/d"))

        def story() -> None:
            browser.open(f"/page/imports/{created['id']}")
            browser.until(lambda: browser.find("#cancel")).click()
            browser.until(lambda: "cancelled" in browser.text("#story"))

        await look(story)
        assert service.traces() == []


async def test_a_refusal_says_what_to_do_and_leads_back_to_the_form(browser: Browser, tmp_path: Path) -> None:
    """The reason in words, the code with its page, and the form as it was."""
    async with Origin({"/p": behaviours.serve(HTML)}) as origin, Running(tmp_path, origin) as service:
        browser.base = service.base

        def story() -> None:
            browser.open("/")
            browser.find("summary").click()
            browser.find("#name").send_keys("cloud image")
            browser.find("#url").send_keys(origin.url("/p"))
            browser.find("button.main").click()
            browser.until(lambda: "refused" in browser.text("#story"))
            assert "HTML page" in browser.text(".verdict")
            browser.find("#again").click()
            browser.until(lambda: browser.find("#url").get_attribute("value") == origin.url("/p"))
            assert browser.find("#name").get_attribute("value") == "cloud image"

        await look(story)


async def test_a_hopeless_url_is_told_while_it_is_typed(browser: Browser, tmp_path: Path) -> None:
    """Nobody has to press the button to learn that ftp is not taken."""
    async with Running(tmp_path) as service:
        browser.base = service.base

        def story() -> None:
            browser.open("/")
            browser.press("ftp://example.org/x")
            browser.until(lambda: "cannot be fetched" in browser.text("#url-said"))
            browser.find("#url").clear()
            browser.find("#url").send_keys("https://example.org/x")
            browser.until(lambda: "will be downloaded from" in browser.text("#url-said"))

        await look(story)
        assert browser.complaints() == []


async def test_a_pasted_url_is_looked_at_before_the_start(browser: Browser, tmp_path: Path) -> None:
    """What it leads to stands below the field at once; leaving the field does not ask the source again."""
    body = qcow2(clusters=2)
    sums = f"{hashlib.sha256(body).hexdigest()}  d.qcow2\n".encode()
    routes = {"/9/d.qcow2": behaviours.serve(body), "/9/SHA256SUMS": behaviours.serve(sums)}
    async with Origin(routes) as origin, Running(tmp_path, origin) as service:
        browser.base = service.base

        def asked() -> int:
            return len([request for request in origin.requests if request.path == "/9/d.qcow2"])

        def story() -> None:
            browser.open("/")
            browser.run(
                """const field = document.getElementById("url");
                field.focus();
                document.execCommand("insertText", false, arguments[0]);
                field.dispatchEvent(new ClipboardEvent("paste", {bubbles: true}));""",
                origin.url("/9/d.qcow2"),
            )
            browser.until(lambda: origin.url("/9/SHA256SUMS") in browser.text("#url-found"))
            for fact in ("Final URL", "d.qcow2", "QCOW2", "Size"):
                assert fact in browser.text("#url-found")
            assert asked() == 1
            browser.press(Keys.TAB, Keys.TAB)
            browser.press(Keys.ENTER)  # The button asks once more; leaving the field did not.
            browser.until(lambda: asked() == 2)

        await look(story)
        assert (await service.get("/imports"))["imports"] == []
        assert browser.complaints() == []


async def test_hostile_text_never_runs(browser: Browser, tmp_path: Path) -> None:
    """In every field, on every page, also in what arrives live."""
    async with Origin({"*": behaviours.serve(qcow2())}) as origin, Running(tmp_path, origin) as service:
        browser.base = service.base

        def fill() -> None:
            browser.open("/")
            browser.find("summary").click()
            for name in ("name", "tags"):
                browser.find(f"#{name}").send_keys(NASTY)
            browser.find("#properties").send_keys(f"{NASTY.replace('=', '')}={NASTY}")
            browser.find("#url").send_keys(origin.url("/%3Cimg%20src=x%20onerror=window.owned=1%3E"))
            browser.find("button.main").click()
            browser.until(lambda: "succeeded" in browser.text("#story"))

        await look(browser.open, "/page/imports")  # Sees the row come in live.
        await look(fill)
        (record,) = (await service.get("/imports"))["imports"]

        def visit() -> None:
            for path in (
                *("/", f"/?from={record['id']}", "/page/imports", "/page/images", "/page/dashboard"),
                *(f"/page/imports/{record['id']}", f"/page/images/{record['image_id']}"),
                f"/page/images?q={'%22%3E%3Cimg%20src=x%20onerror=window.owned=1%3E'}",
            ):
                browser.open(path)
                assert browser.run("return window.owned") is None, path
                assert browser.run("return document.querySelectorAll('img[src=x], svg[onload]').length") == 0
            browser.open("/page/images")
            assert NASTY in browser.text()

        await look(visit)
        assert browser.complaints() == []


async def every_page(service: Running, origin: Origin) -> dict[str, str]:
    """A service with something to see, and where to see it."""
    good = await service.run(
        url=origin.url("/debian-13.qcow2"),
        disk_format=None,
        name="debian-13-generic",
        tags=["debian", "trixie"],
    )
    bad = await service.run(url=origin.url("/login"), disk_format="qcow2", name="fedora-cloud")
    await service.run(url=origin.url("/missing"), disk_format=None)
    slow = await service.submit(url=origin.url("/ubuntu.qcow2"), disk_format=None, name="ubuntu-server")
    return {
        "submit": "/",
        "imports": "/page/imports",
        "running": f"/page/imports/{slow['id']}",
        "refused": f"/page/imports/{bad['id']}",
        "succeeded": f"/page/imports/{good['id']}",
        "images": "/page/images",
        "upload": "/page/upload",
        "image": f"/page/images/{good['image_id']}",
        "limits": "/page/limits",
        "dashboard": "/page/dashboard",
        "codes": "/page/codes",
        "sign-in": "/page/sign-in",
        "problem": "/page/images/nope",
    }


def shelf() -> dict[str, Any]:
    """What the origin of these pages has."""
    return {
        "/debian-13.qcow2": behaviours.serve(qcow2(clusters=100)),
        "/login": behaviours.serve(HTML),
        "/ubuntu.qcow2": behaviours.serve(qcow2(clusters=400), bytes_per_second=400_000),
    }


@pytest.mark.parametrize(("width", "is_dark"), [(1440, False), (768, True), (360, False), (320, True)])
async def test_no_page_keeps_anybody_out(
    browser: Browser, axe: str, tmp_path: Path, width: int, is_dark: bool
) -> None:
    """axe-core finds no barrier; nothing is wider than the window; nothing is loaded from elsewhere."""
    async with Origin(shelf()) as origin, Running(tmp_path, origin) as service:
        browser.base = service.base
        pages = await every_page(service, origin)

        def visit() -> list[str]:
            found = []
            browser.look_like(width=width, is_dark=is_dark)
            for name, path in pages.items():
                browser.open(path)
                found += [f"{name}: {barrier}" for barrier in browser.barriers(axe)]
                if browser.run("return document.documentElement.scrollWidth > innerWidth"):
                    found.append(f"{name}: wider than {width}")
                for link in browser.run("return performance.getEntriesByType('resource').map(e => e.name)"):
                    if not link.startswith(service.base):
                        found.append(f"{name}: loads {link}")
            return found

        assert await look(visit) == []


@pytest.mark.parametrize(("width", "is_dark"), [(1440, False), (320, True)])
async def test_no_page_of_names_and_exports_keeps_anybody_out(
    browser: Browser, axe: str, tmp_path: Path, width: int, is_dark: bool
) -> None:
    """Catalogue, schedules, exports and links, where the operator has set them up: likewise."""
    rules: dict[str, Any] = {
        "exports": {"receivers": ["127.0.0.1"], "attempts": 1},
        "links": {"enabled": True},
    }
    async with Origin(mixed()) as origin, Running(tmp_path, origin, **source(origin), **rules) as service:
        browser.base = service.base
        made = (await service.call("POST", "/imports", json={"catalogue": "ubuntu:26.04"}))[1]
        assert (await service.ended(made["id"]))["state"] == "succeeded"
        body = {"catalogue": "ubuntu:24.04", "name": "lts", "notify_url": origin.url("/hook?token=x")}
        schedule = (await service.call("POST", "/schedules", json=body))[1]
        sent = {"image": made["image_id"], "url": origin.url("/taken?sig=x")}
        export = (await service.call("POST", "/exports", json=sent))[1]

        def visit() -> list[str]:
            found = []
            browser.look_like(width=width, is_dark=is_dark)
            for path in (
                *(
                    "/page/catalogue",
                    "/page/schedules",
                    "/page/schedules/new",
                    f"/page/schedules/{schedule['id']}",
                ),
                *(
                    "/page/exports",
                    f"/page/exports/{export['id']}",
                    f"/page/exports/new?image={made['image_id']}",
                ),
                f"/page/images/{made['image_id']}",
            ):
                browser.open(path)
                browser.run("document.querySelectorAll('details').forEach(one => one.open = true)")
                found += [f"{path}: {barrier}" for barrier in browser.barriers(axe)]
                if browser.run("return document.documentElement.scrollWidth > innerWidth"):
                    found.append(f"{path}: wider than {width}")
            return found

        assert await look(visit) == []
        assert browser.complaints() == []


async def test_an_image_is_found_and_kept_new_by_keyboard(browser: Browser, tmp_path: Path) -> None:
    """A word, Enter, Tab to the button: imported; the schedule's form is sent by Enter."""
    async with Origin(mixed()) as origin, Running(tmp_path, origin, **source(origin)) as service:
        browser.base = service.base

        def story() -> None:
            browser.open("/page/catalogue")
            browser.find("#q").send_keys("26.04", Keys.ENTER)
            browser.until(lambda: "q=26.04" in browser.driver.current_url)
            browser.tab_to(lambda element: element.text == "Keep new")
            browser.press(Keys.ENTER)
            browser.until(lambda: bool(browser.find("#hours").is_displayed()))
            browser.find("#name").send_keys(Keys.ENTER)
            browser.until(lambda: "ubuntu-26.04" in browser.text("tbody"))

        await look(story)
        assert browser.complaints() == []


@pytest.mark.skipif(not os.environ.get("FETCHER_PICTURES"), reason="FETCHER_PICTURES asks for new pictures")
async def test_pictures_for_the_documentation(browser: Browser, tmp_path: Path) -> None:
    """Every page, light and wide, dark and narrow."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    async with Origin(shelf()) as origin, Running(tmp_path, origin) as service:
        browser.base = service.base
        pages = await every_page(service, origin)
        for name in ("codes", "problem", "sign-in"):
            del pages[name]
        await asyncio.sleep(11)  # Two looks of the desk: something to draw.

        def visit() -> None:
            for name, path in pages.items():
                for width, is_dark in ((1180, False), (360, True)):
                    browser.look_like(width=width, is_dark=is_dark)
                    browser.open(path)
                    browser.run(SHOWN_FOLDER, str(tmp_path))
                    words = "dark" if is_dark else "light"
                    browser.picture(PICTURES / f"{name}-{words}.png", width=width, is_dark=is_dark)

        await look(visit)
    assert len(list(PICTURES.iterdir())) == 2 * len(pages)


async def test_a_lost_server_is_told(browser: Browser, tmp_path: Path) -> None:
    """A few seconds after it has gone a banner says so, and the numbers on the page are greyed."""
    slow = behaviours.serve(qcow2(clusters=60), bytes_per_second=100_000)
    async with Origin({"/d": slow}) as origin:
        async with Running(tmp_path, origin) as service:
            browser.base = service.base
            created = await service.submit(url=origin.url("/d"), disk_format="qcow2")
            await look(browser.open, f"/page/imports/{created['id']}")
            await look(browser.until, lambda: "running" in browser.text("#story"))
            assert await look(browser.text, "#lost") == ""
        await look(browser.until, lambda: browser.text("#lost") == "Connection lost, trying again.")
        opacity = "return Number(getComputedStyle(document.querySelector('[sse-connect]')).opacity)"
        assert await look(browser.run, opacity) < 1


async def test_a_file_is_uploaded_with_progress_and_can_be_cancelled(
    browser: Browser, tmp_path: Path
) -> None:
    """The bar moves; Cancel leaves nothing on the server; a whole file leads to its image."""
    large, small = tmp_path / "large.img", tmp_path / "small.qcow2"
    with large.open("wb") as file:
        file.write(qcow2())
        file.truncate(400_000_000)
    small.write_bytes(qcow2(clusters=2))
    async with Running(tmp_path) as service:
        browser.base = service.base

        def cancelled() -> None:
            browser.open("/page/upload")
            browser.run(
                """const send = XMLHttpRequest.prototype.send;
                XMLHttpRequest.prototype.send = function (body) {
                    this.upload.addEventListener("progress", () => {
                        window.moved = document.getElementById("upload-bar").value;
                        document.getElementById("upload-cancel").click();
                    }, { once: true });
                    return send.call(this, body);
                };"""
            )
            browser.find("#file").send_keys(str(large))
            browser.find("#upload-start").click()
            browser.until(lambda: "cancelled" in browser.text("#upload-wrong"))
            assert browser.run("return window.moved") > 0

        def whole() -> None:
            browser.open("/page/upload")
            browser.find("#file").send_keys(str(small))
            browser.find("#upload-start").click()
            browser.until(lambda: "small.qcow2" in browser.text("h1"))

        await look(cancelled)
        async with asyncio.timeout(60):
            while (await service.get("/v2/images"))["images"] or service.traces():
                await asyncio.sleep(0.02)
        await look(whole)
        assert len((await service.get("/v2/images"))["images"]) == 1
