"""The page as a browser gets it: what it says, what it refuses, and what it never lets through."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from fetcher.api.auth.identity import hash_token
from tests.images import HTML, qcow2
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.service import Running

BROWSER = {"Accept": "text/html,application/xhtml+xml"}
PAGES = [
    "/",
    "/page/imports",
    "/page/images",
    "/page/limits",
    "/page/codes",
    "/page/dashboard",
    "/page/sign-in",
]
NASTY = "\"'><img src=x onerror=alert(1)><script>alert(1)</script>{{ 7*7 }}"


async def seen(service: Running, path: str, status: int = 200) -> str:
    """The text of a page."""
    async with service.client.get(path, headers=BROWSER) as answer:
        text = await answer.text()
        assert answer.status == status, text
        assert answer.content_type == "text/html"
        return text


async def sent(service: Running, path: str, **fields: str) -> tuple[int, str, str]:
    """Send a form with the proof that the page gives; status, text and where it leads come back."""
    form, cookies = await proven(service, **fields)
    async with service.client.post(
        path, data=form, cookies=cookies, headers=BROWSER, allow_redirects=False
    ) as answer:
        return answer.status, await answer.text(), answer.headers.get("Location", "")


async def proven(
    service: Running, token: str | None = None, **fields: str
) -> tuple[dict[str, str], dict[str, str]]:
    """A form with its proof, and the cookies that go with it: a token's, where one is given."""
    cookies = {} if token is None else {"fetcher_token": token}
    async with service.client.get("/", headers=BROWSER, cookies=cookies) as answer:
        proof = re.search(r'name="proof" value="(\w+)"', await answer.text())
        assert proof is not None
        cookies["fetcher_form"] = answer.cookies["fetcher_form"].value
        return {"proof": proof[1], **fields}, cookies


@pytest.mark.parametrize("path", PAGES)
async def test_pages_forbid_everything_from_elsewhere(tmp_path: Path, path: str) -> None:
    """No page runs an inline script, loads from another host, or can be framed."""
    async with Running(tmp_path) as service:
        async with service.client.get(path, headers=BROWSER) as answer:
            policy = answer.headers["Content-Security-Policy"]
            text = await answer.text()
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["Cache-Control"] == "no-store"
        assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=|javascript:", text)
        links = re.findall(r'(?:src|href|action)="([^"]*)"', text)
        assert links
        assert all(link.startswith(("/", "#")) and not link.startswith("//") for link in links)


async def test_programs_still_get_the_document(tmp_path: Path) -> None:
    """Only who names HTML gets the page at /."""
    async with Running(tmp_path) as service:
        for headers in ({}, {"Accept": "*/*"}, {"Accept": "application/json"}):
            async with service.client.get("/", headers=headers) as answer:
                assert answer.content_type == "application/json"
        assert "<h1>" in await seen(service, "/")


async def test_static_files_are_kept_for_ever_under_their_digest(tmp_path: Path) -> None:
    """A new version has a new link, so that no browser shows new pages with old scripts."""
    async with Running(tmp_path) as service:
        text = await seen(service, "/")
        links = set(re.findall(r'"(/page/static/[^"]+)"', text))
        assert {link.partition("?")[0].rpartition("/")[2] for link in links} == {
            *("icon.svg", "theme.js", "page.css", "htmx.js", "sse.js", "page.js", "alive.js"),
        }
        for link in links:
            async with service.client.get(link) as answer:
                assert answer.status == 200
                assert "immutable" in answer.headers["Cache-Control"]
        status, _, _ = await service.call("GET", "/page/static/../app.py")
        assert status == 404


async def test_a_form_becomes_an_image(tmp_path: Path) -> None:
    """Every field of the form arrives, and the browser is led to the import."""
    routes = {"/d": behaviours.serve(qcow2()), "/hook": behaviours.status(204)}
    async with Origin(routes) as origin, Running(tmp_path, origin) as service:
        hook = f"{origin.url('/hook')}?t=%3Cb%3E"
        status, _, target = await sent(
            service,
            "/page/submit",
            url=f" {origin.url('/d')} ",
            notify_url=hook,
            name="disk",
            disk_format="qcow2",
            max_bytes="1000000",
            min_disk="2",
            min_ram="",
            tags="a, b,,",
            properties="os = debian\n\nx=1=2",
            visibility="private",
            mirrors=f"{origin.url('/e')}\n{origin.url('/f')}",
        )
        assert status == 303
        ended = await service.ended(target.rpartition("/")[2])
        assert ended["state"] == "succeeded"
        submission = ended["submission"]
        assert submission["tags"] == ["a", "b"]
        assert submission["mirrors"] == [origin.url("/e"), origin.url("/f")]
        assert submission["properties"] == {"os": "debian", "x": "1=2"}
        assert (submission["min_disk"], submission["max_bytes"]) == (2, 1_000_000)
        await origin.wait_requests(2)
        async with asyncio.timeout(30):
            while "Delivered" not in (text := await seen(service, target)):
                await asyncio.sleep(0.01)
        assert f"{origin.url('/hook')}?t=REDACTED" in text
        assert ended["digests"]["sha256"] in text
        assert f"/page/images/{ended['image_id']}" in text


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"url": "ftp://x/y"}, "cannot be fetched"),
        ({"url": ""}, "Enter the URL of an image"),
        ({"url": "https://h/x", "min_disk": "two"}, "Minimum disk must be a whole number, such as 20 GiB."),
        ({"url": "https://h/x", "properties": "nope"}, "write it as os_distro=debian"),
        ({"url": "https://h/x", "properties": "id=1"}, "is reserved"),
        ({"url": "https://h/x", "checksum": "crc32:1"}, "Checksum is written"),
        ({"url": "https://h/x", "disk_format": NASTY}, "Disk format must be one of"),
    ],
)
async def test_a_wrong_form_is_shown_again_with_what_is_wrong(
    tmp_path: Path, fields: dict[str, str], words: str
) -> None:
    """Nothing that somebody typed is lost."""
    async with Running(tmp_path) as service:
        status, text, _ = await sent(service, "/page/submit", name="my disk", **fields)
        assert status == 400
        assert words in text
        assert 'value="my disk"' in text
        assert "<img src=x" not in text


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
async def test_forms_of_other_sites_are_refused(tmp_path: Path, headers: dict[str, str]) -> None:
    """Even with the right proof: another site has no business here."""
    async with Running(tmp_path) as service:
        form, cookies = await proven(service, url="https://example.org/x")
        async with service.client.post(
            "/page/submit", data=form, cookies=cookies, headers={**BROWSER, **headers}
        ) as answer:
            assert answer.status == 403
        assert (await service.get("/imports"))["imports"] == []


@pytest.mark.parametrize(
    "path",
    [
        *("/page/submit", "/page/check", "/page/probe", "/page/imports/x/cancel", "/page/imports/bulk"),
        *("/page/images/x/delete", "/page/images/x/edit", "/page/images/bulk", "/page/sign-out"),
    ],
)
async def test_forms_without_proof_are_refused(tmp_path: Path, path: str) -> None:
    """No form works without the number that only our own page knows."""
    async with Running(tmp_path) as service:
        _, cookies = await proven(service)
        wrong: list[tuple[Any, int]] = [({}, 403), ({"proof": "0" * 64}, 403), ({"proof": "é"}, 403)]
        for form, status in [*wrong, ("proof=1&proof=2", 400)]:
            async with service.client.post(path, data=form, cookies=cookies, headers=BROWSER) as answer:
                assert answer.status == status


async def test_a_proof_is_of_no_use_with_another_token(tmp_path: Path) -> None:
    """A number that somebody else put into the browser has no proof: the token is in it, too."""
    entries = [
        {"sha256": hash_token(f"token of {who}"), "project": who, "user": who, "roles": ["member"]}
        for who in "ab"
    ]
    async with Running(tmp_path, auth={"mode": "tokens", "tokens": entries}) as service:
        async with service.client.get(
            "/", headers=BROWSER, cookies={"fetcher_token": "token of a"}
        ) as answer:
            found = re.search(r'name="proof" value="([0-9a-f]{64})"', await answer.text())
            assert found is not None
            number = answer.cookies["fetcher_form"].value
        form = {"proof": found[1], "url": "https://example.org/x"}
        for who, expected in (("b", 403), ("a", 303)):
            cookies = {"fetcher_form": number, "fetcher_token": f"token of {who}"}
            async with service.client.post(
                "/page/submit", data=form, cookies=cookies, headers=BROWSER, allow_redirects=False
            ) as answer:
                assert answer.status == expected


async def test_typing_is_answered_by_the_guard_itself(tmp_path: Path) -> None:
    """A URL that can never work is told at once, one that may work says where it leads."""
    async with Running(tmp_path) as service:
        assert 'class="bad"' in (await sent(service, "/page/check", url="gopher://x"))[1]
        good = await sent(service, "/page/check", url="https://example.org/x")
        assert "will be downloaded from https://example.org:443" in good[1]
        assert (await sent(service, "/page/check", url=" "))[1].strip() == ""


async def test_a_refusal_is_explained_and_can_be_submitted_again(tmp_path: Path) -> None:
    """The reason, the advice, and a form filled in as before; secrets are not put back."""
    async with Origin({"/p": behaviours.serve(HTML)}) as origin, Running(tmp_path, origin) as service:
        ended = await service.run(url=origin.url("/p?sig=hush"), disk_format="qcow2", tags=["t"], name="n")
        text = await seen(service, f"/page/imports/{ended['id']}")
        assert "You said qcow2, but the bytes are an HTML page." in text
        assert "use a link that downloads the image itself" in text
        again = await seen(service, f"/?from={ended['id']}")
        assert 'value="n"' in again
        assert "sig=REDACTED</span>" in again  # Told, and never sent.
        assert re.search(r'id="url"[^>]*value=""', again)
        assert "Enter them again" in again
        assert "hush" not in text + again
        assert "<h1>" in await seen(service, "/?from=nope")


async def test_cancel_ends_an_import_and_may_be_pressed_twice(tmp_path: Path) -> None:
    """The second press finds it cancelled, and shows just that."""
    async with (
        Origin({"/d": behaviours.stall(qcow2(), 100)}) as origin,
        Running(tmp_path, origin) as service,
    ):
        created = await service.submit(url=origin.url("/d"))
        for _ in range(2):
            status, _, target = await sent(service, f"/page/imports/{created['id']}/cancel")
            assert (status, target) == (303, f"/page/imports/{created['id']}")
        assert "cancelled" in await seen(service, target)
        assert service.traces() == []


async def test_images_are_found_filtered_and_paged(tmp_path: Path) -> None:
    """By a part of the name, a tag, the beginning of a digest; what is no pattern is taken literally."""
    async with (
        Origin({"/d": behaviours.serve(qcow2()), "/e": behaviours.serve(qcow2(clusters=1))}) as origin,
        Running(tmp_path, origin, server={"page_items": 1}) as service,
    ):
        first = await service.run(url=origin.url("/d"), disk_format=None, name="Debian 13", tags=["stable"])
        second = await service.run(url=origin.url("/e"), disk_format=None, name="100%_sure")
        for query in (
            "q=debian",
            "q=STABLE",
            f"q={first['digests']['sha256'][:9]}",
            f"q={first['image_id']}",
        ):
            text = await seen(service, f"/page/images?{query}")
            assert "Debian 13" in text, query
            assert "100%_sure" not in text, query
        assert "100%_sure" in await seen(service, "/page/images?q=0%25_s")
        assert "No image matches" in await seen(service, "/page/images?q=%25x")
        assert "No image matches" in await seen(service, "/page/images?disk_format=iso")
        page = await seen(service, "/page/images?status=active&disk_format=qcow2")
        assert "100%_sure" in page
        older = re.search(r'href="(/page/images\?[^"]*page=2)" rel="next"', page)
        assert older is not None
        next_page = await seen(service, older[1].replace("&amp;", "&"))
        assert "Debian 13" in next_page
        assert second["image_id"] not in next_page


async def test_an_image_is_shown_fetched_and_deleted(tmp_path: Path) -> None:
    """Its digests, its origin, the lines that boot it, its bytes; then it is gone."""
    body = qcow2(clusters=2)
    async with Origin({"/d": behaviours.serve(body)}) as origin, Running(tmp_path, origin) as service:
        ended = await service.run(url=origin.url("/d"), disk_format=None, name="a b;$(reboot)")
        path = f"/page/images/{ended['image_id']}"
        text = await seen(service, path)
        for words in (
            ended["digests"]["sha512"],
            "qemu-system-x86_64",
            "virt-install",
            "openstack image save",
        ):
            assert words in text
        assert "file=a-b-reboot.qcow2,format=qcow2" in text
        async with service.client.get(f"{path}/file") as answer:
            assert await answer.read() == body
            assert answer.headers["Content-Disposition"] == 'attachment; filename="a-b-reboot.qcow2"'
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert (await sent(service, f"{path}/delete"))[::2] == (303, "/page/images")
        await seen(service, path, 404)
        await seen(service, f"{path}/file", 404)
        assert service.traces() == []


async def test_nothing_hostile_is_believed(tmp_path: Path) -> None:
    """Names, tags, properties, paths and searches are text wherever they turn up."""
    async with Origin({"*": behaviours.serve(qcow2())}) as origin, Running(tmp_path, origin) as service:
        ended = await service.run(
            url=origin.url("/<img src=x>".replace(" ", "%20")),
            disk_format=None,
            name=NASTY,
            tags=[NASTY],
            properties={NASTY: NASTY},
        )
        paths = [
            *("/", "/page/imports", "/page/images", "/page/dashboard", f"/?from={ended['id']}"),
            *(f"/page/imports/{ended['id']}", f"/page/images/{ended['image_id']}"),
            "/page/images?q=%22%3E%3Cimg%20src=x%3E",
            "/page/sign-in?after=%22%3E%3Cimg%20src=x%3E",
        ]
        for path in paths:
            text = await seen(service, path)
            assert "<img src=x" not in text, path
            assert "<script>alert" not in text, path
            assert "49" not in re.findall(r"\{\{.*?\}\}|>49<", text), path


async def test_events_carry_the_rows_and_the_story(tmp_path: Path) -> None:
    """The list and the story come again whenever they change, and the story ends with the import."""
    async with Origin({"/d": behaviours.serve(qcow2())}) as origin, Running(tmp_path, origin) as service:
        ended = await service.run(url=origin.url("/d"), disk_format=None, name="disk")
        async with service.client.get("/page/imports/events?most=1") as answer:
            rows = await answer.content.readuntil(b"</tr>")
        assert b"event: rows" in rows
        assert ended["id"].encode() in rows
        async with service.client.get(f"/page/imports/{ended['id']}/events") as answer:
            story = await answer.text()
        assert re.findall(r"^event: (\w+)", story, re.MULTILINE) == ["actions", "end"]
        await seen(service, "/page/imports/nope/events", 404)


async def test_the_desk_tells_what_happened(tmp_path: Path) -> None:
    """Counts, disk, use by project, true codes over time, and origins."""
    routes: dict[str, Any] = {"/d": behaviours.serve(qcow2()), "/p": behaviours.serve(HTML)}
    async with Origin({}) as dead:
        gone = dead.url("/x")
    async with Origin(routes) as origin, Running(tmp_path, origin, dead) as service:
        await service.run(url=origin.url("/d"), disk_format=None)
        await service.run(url=origin.url("/p"), disk_format=None)
        await service.run(url=gone)
        text = await seen(service, "/page/dashboard")
        for words in ("format-unknown", "connect-failed", origin.url("").rstrip("/"), "default", "256 KiB"):
            assert words in text, words
        assert "source-unreachable" not in text


async def test_signing_in_needs_a_good_token_and_leads_nowhere_else(tmp_path: Path) -> None:
    """After signing in, nobody is sent to another site."""
    async with Running(tmp_path) as service:
        for after in ("//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)"):
            async with service.client.get(
                "/page/sign-in", params={"after": after}, headers=BROWSER
            ) as answer:
                assert 'name="after" value="/"' in await answer.text()
        for token in ("", "a;b", "a\nb", "é"):
            status, text, _ = await sent(service, "/page/sign-in", token=token)
            assert status == 401
            assert "not valid" in text


TOKENS = {"admin": "a" * 40, "member": "m" * 40}
AUTH = {
    "mode": "tokens",
    "tokens": [
        {"sha256": hash_token(token), "project": f"{role}s", "user": role, "roles": [role]}
        for role, token in TOKENS.items()
    ],
}


async def signed_in(service: Running, token: str) -> dict[str, str]:
    """The cookies of somebody who signed in."""
    async with service.client.get("/page/sign-in", headers=BROWSER) as answer:
        proof = re.search(r'name="proof" value="(\w+)"', await answer.text())
        cookies = {"fetcher_form": answer.cookies["fetcher_form"].value}
    assert proof is not None
    form = {"proof": proof[1], "token": token, "after": "/page/images"}
    async with service.client.post(
        "/page/sign-in", data=form, cookies=cookies, headers=BROWSER, allow_redirects=False
    ) as answer:
        assert (answer.status, answer.headers["Location"]) == (303, "/page/images")
        cookie = answer.cookies["fetcher_token"]
        assert cookie["httponly"]
        assert cookie["samesite"].lower() == "strict"
        return {**cookies, "fetcher_token": cookie.value}


async def test_where_tokens_are_used_strangers_sign_in_first(tmp_path: Path) -> None:
    """Every page leads there; the cookie opens pages and downloads, and never the API."""
    async with (
        Origin({"/d": behaviours.serve(qcow2())}) as origin,
        Running(tmp_path, origin, auth=AUTH) as service,
    ):
        for path in ("/", "/page/images", "/page/dashboard", "/page/imports/x", "/page/images/x/file"):
            async with service.client.get(path, headers=BROWSER, allow_redirects=False) as answer:
                assert answer.status == 303
                assert answer.headers["Location"].startswith("/page/sign-in?after=")
        cookies = await signed_in(service, TOKENS["member"])
        async with service.client.get("/", headers=BROWSER, cookies=cookies) as answer:
            text = await answer.text()
            assert "members" in text
            assert "/page/dashboard" not in text
        for path, status in (
            ("/page/dashboard", 403),
            ("/imports", 401),
            ("/v2/images", 401),
            ("/metrics", 401),
        ):
            async with service.client.get(path, headers=BROWSER, cookies=cookies) as answer:
                assert answer.status == status, path
        proof = re.search(r'name="proof" value="(\w+)"', text)
        assert proof is not None
        form = {"proof": proof[1], "url": origin.url("/d"), "visibility": "public"}
        async with service.client.post("/page/submit", data=form, headers=BROWSER, cookies=cookies) as answer:
            assert answer.status == 403
        form["visibility"] = "private"
        async with service.client.post(
            "/page/submit", data=form, headers=BROWSER, cookies=cookies, allow_redirects=False
        ) as answer:
            assert answer.status == 303
            target = answer.headers["Location"]
        async with service.client.get(f"{target}/events", headers=BROWSER, cookies=cookies) as answer:
            assert "event: end" in await answer.text()
        stranger = await signed_in(service, TOKENS["admin"])
        async with service.client.get("/page/images", headers=BROWSER, cookies=stranger) as answer:
            image_id = re.search(r'href="/page/images/([0-9a-f-]{36})"', await answer.text())
        assert image_id is not None
        path = f"/page/images/{image_id[1]}/file"
        headers = {**BROWSER, "Range": "bytes=0-3"}
        async with service.client.get(path, headers=headers, cookies=cookies) as answer:
            assert (answer.status, await answer.read()) == (206, b"QFI\xfb")
        async with service.client.post(
            "/page/sign-out",
            data={"proof": proof[1]},
            headers=BROWSER,
            cookies=cookies,
            allow_redirects=False,
        ) as answer:
            assert answer.cookies["fetcher_token"].value == ""


async def test_metrics_are_for_operators(tmp_path: Path) -> None:
    """Where tokens are used, only an admin's shows them."""
    async with Running(tmp_path, auth=AUTH) as service:
        for role, status in (("member", 403), ("admin", 200)):
            headers = {"Authorization": f"Bearer {TOKENS[role]}"}
            async with service.client.get("/metrics", headers=headers) as answer:
                assert answer.status == status


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/page/nothing"), ("GET", "/nothing"), ("GET", "/page/submit")]
)
async def test_browsers_that_go_astray_get_a_page(tmp_path: Path, method: str, path: str) -> None:
    """With the way back; programs get a problem document, and clients of the Image API theirs."""
    async with Running(tmp_path) as service:
        status, text, headers = await service.call(method, path, headers={"Accept": "text/html,*/*"})
        assert status in {404, 405}
        assert headers["content-type"].startswith("text/html")
        assert 'href="/page/imports"' in text
        assert (await service.call(method, path))[1]["code"] in {"not-found", "method-not-allowed"}
        v2 = await service.call("GET", "/v2/nothing", headers={"Accept": "text/html"})
        assert v2[1]["error"]["type"] == "not-found"
