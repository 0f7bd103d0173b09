"""The form: every mistake at once beside its field, sizes with units, secrets that are never sent back."""

import hashlib
import re
from pathlib import Path

import pytest
import trustme

from fetcher.api.page.form.again import default_name
from fetcher.api.page.form.amounts import read_amount, read_size
from tests.images import HTML, qcow2
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.page.test_page import BROWSER, proven, seen, sent
from tests.service import Running
from tests.unpack.making import make_tar


@pytest.mark.parametrize(
    ("text", "size"),
    [
        *(("4 GiB", 4 * 1024**3), ("4G", 4 * 1024**3), ("500 MB", 500_000_000), ("1.5 TiB", 3 * 2**39)),
        *(("1000000", 1_000_000), ("10 bytes", 10), ("2kb", 2000), ("0.5 K", 512), (" 7 b ", 7)),
        *(("two", None), ("", None), ("-1", None), ("4 iB", None), ("1.5", None), ("4 GiB more", None)),
    ],
)
def test_sizes_as_people_write_them(text: str, size: int | None) -> None:
    """With binary and decimal units, or as plain bytes."""
    assert read_size(text) == size


def test_amounts_of_a_unit() -> None:
    """A plain number counts in the field's own unit; a size is rounded up to it."""
    assert read_amount("20", 1024**3) == 20
    assert read_amount("20 GiB", 1024**3) == 20
    assert read_amount("2 GiB", 1024**2) == 2048
    assert read_amount("1500 MiB", 1024**3) == 2
    assert read_amount("two", 1) is None
    assert read_amount("1.5", 1) is None


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://h/a/debian-13.qcow2?x=1", "debian-13.qcow2"),
        ("https://h/a%20b.img/", "a b.img"),
        ("https://h/", None),
        ("https://h/%0a", None),
        ("http://[", None),
    ],
)
def test_the_name_of_the_file_is_the_default(url: str, name: str | None) -> None:
    """The last part of the path, as people read it."""
    assert default_name(url) == name


async def test_all_mistakes_stand_beside_their_fields(tmp_path: Path) -> None:
    """At once, in the page's words; the first wrong field has the focus, and nothing typed is lost."""
    async with Running(tmp_path) as service:
        status, text, _ = await sent(
            service,
            "/page/submit",
            url="https://example.org/disk.img",
            name="n" * 256,
            max_bytes="plenty",
            min_ram="two",
            checksum="sha256:12",
            mirrors="https://example.org/a\nfile:///etc/passwd",
            headers="Host: evil.example",
            properties="nope",
            notify_url="gopher://x",
        )
    assert status == 400
    wrong = dict(re.findall(r'<p class="wrong" id="([a-z_]+)-wrong">([^<]*)</p>', text))
    assert list(wrong) == [
        *("name", "checksum", "max_bytes", "min_ram", "mirrors", "headers", "notify_url", "properties"),
    ]
    assert wrong["name"] == "Name must be at most 255 characters long."
    assert wrong["max_bytes"] == "Maximum size must be a size, such as 4 GiB or 500 MB."
    assert wrong["min_ram"] == "Minimum memory must be a whole number, such as 2048 MiB."
    assert wrong["mirrors"].startswith("Line 2: ")
    assert not any("_" in words.replace("os_distro", "") for words in wrong.values())
    assert re.findall(r'<(?:input|textarea|select) id="(\w+)"[^>]*autofocus', text) == ["name"]
    assert "8 fields need a correction" in text
    assert 'value="plenty"' in text


async def test_headers_sizes_and_names_arrive(tmp_path: Path) -> None:
    """Headers go to the source alone; units are understood; the image is called like the file."""
    async with (
        Origin({"/d.qcow2": behaviours.serve(qcow2())}) as origin,
        Running(tmp_path, origin) as service,
    ):
        status, _, target = await sent(
            service,
            "/page/submit",
            url=origin.url("/d.qcow2"),
            headers="Authorization: Bearer hush\nX-Other: 1",
            max_bytes="4 GiB",
            min_disk="20 GB",
        )
        assert status == 303
        ended = await service.ended(target.rpartition("/")[2])
        assert ended["state"] == "succeeded"
        assert ended["submission"]["max_bytes"] == 4 * 1024**3
        assert ended["submission"]["min_disk"] == 19
        assert origin.requests[0].header("Authorization") == "Bearer hush"
        assert (await service.get(f"/v2/images/{ended['image_id']}"))["name"] == "d.qcow2"
        assert "hush" not in await seen(service, target)


async def test_submitting_again_never_sends_what_was_redacted(tmp_path: Path) -> None:
    """A URL that held a secret has to be pasted again; one that held none is there; a header has its name."""
    async with Origin({"*": behaviours.serve(HTML)}) as origin, Running(tmp_path, origin) as service:
        secret = await service.run(
            url=origin.url("/p?token=hush&arch=amd64"),
            headers={"X-Token": "hush"},
            mirrors=[origin.url("/m"), origin.url("/n?sig=hush")],
        )
        again = await seen(service, f"/?from={secret['id']}")
        fields = re.findall(r'value="([^"]*)"|<textarea[^>]*>([^<]*)</textarea>', again)
        assert "REDACTED" not in str(fields)
        assert "X-Token: " in str(fields)
        assert "token=REDACTED&amp;arch=amd64" in again
        plain = await service.run(url=origin.url("/p?arch=amd64&version=13.1"))
        again = await seen(service, f"/?from={plain['id']}")
        assert "/p?arch=amd64&amp;version=13.1" in again
        before = len(origin.requests)
        url = origin.url("/p?token=REDACTED")
        status, text, _ = await sent(service, "/page/submit", url=url)
        assert status == 400
        assert "Paste the complete URL again" in text
        assert len(origin.requests) == before


async def test_a_form_outlives_a_restart(tmp_path: Path) -> None:
    """The key of forms is in the data folder, for the service alone."""
    async with Origin({"/d": behaviours.serve(qcow2())}) as origin:
        async with Running(tmp_path, origin) as service:
            form, cookies = await proven(service, url=origin.url("/d"))
        async with Running(tmp_path, origin) as service:
            async with service.client.post(
                "/page/submit", data=form, cookies=cookies, headers=BROWSER, allow_redirects=False
            ) as answer:
                assert answer.status == 303
            assert (service.data / "page.key").stat().st_mode & 0o777 == 0o600


async def test_a_form_without_proof_comes_back_filled_in(tmp_path: Path) -> None:
    """Refused, but nothing is lost: it needs one more press."""
    async with Running(tmp_path) as service:
        _, cookies = await proven(service)
        form = {"proof": "0" * 64, "url": "https://example.org/x", "name": "my disk"}
        async with service.client.post("/page/submit", data=form, cookies=cookies, headers=BROWSER) as answer:
            text = await answer.text()
            assert answer.status == 403
    assert 'value="https://example.org/x"' in text
    assert 'value="my disk"' in text
    assert "open for too long" in text


FOUND = re.compile(r"<dt>(.*?)</dt><dd(?: class=\"mono\")?>(.*?)</dd>")


async def test_a_url_is_checked_by_a_button_without_scripts(tmp_path: Path) -> None:
    """The page comes again with all that was typed, and with what the URL leads to; nothing is imported."""
    body = qcow2(clusters=2)
    sums = f"{hashlib.sha256(body).hexdigest()}  d.qcow2\n".encode()
    routes = {
        "/go": behaviours.redirect("/9/d.qcow2"),
        "/9/d.qcow2": behaviours.serve(body),
        "/9/SHA256SUMS": behaviours.serve(sums),
    }
    async with Origin(routes) as origin, Running(tmp_path, origin) as service:
        assert re.search(r'<button formaction="/page/probe"[^>]*>Check URL<', await seen(service, "/"))
        url = origin.url("/9/d.qcow2")
        status, text, _ = await sent(service, "/page/probe", url=url, name="mine", tags="a, b")
        assert status == 200
        found = dict(FOUND.findall(text))
        assert (found["Final URL"], found["File"]) == (url, "mine")
        assert (found["Format"], found["Checksum file"]) == (
            "QCOW2 v3 disk image",
            origin.url("/9/SHA256SUMS"),
        )
        assert "Size" in found
        assert f'value="{url}"' in text
        assert 'value="a, b"' in text
        _, text, _ = await sent(service, "/page/probe", url=origin.url("/go"))
        assert dict(FOUND.findall(text))["Final URL"] == url
        _, text, _ = await sent(service, "/page/probe", url=origin.url("/go"), disk_format="raw")
        assert "Would be refused" in text
        status, text, _ = await sent(service, "/page/probe", url=url, max_bytes="two")
        assert (status, "Maximum size must be a size" in text) == (400, True)
        assert (await service.get("/imports"))["imports"] == []


async def test_a_url_that_cannot_be_checked_now_is_told(tmp_path: Path) -> None:
    """With the reason, where the limit of submissions is reached."""
    async with (
        Origin({"/d": behaviours.serve(qcow2())}) as origin,
        Running(tmp_path, origin, imports={"max_submits_per_minute": 1}) as service,
    ):
        await sent(service, "/page/probe", url=origin.url("/d"))
        status, text, _ = await sent(service, "/page/probe", url=origin.url("/d"))
        assert (status, 'id="failure"' in text) == (429, True)
        form, cookies = await proven(service, url=origin.url("/d"))
        asked = {"data": form, "cookies": cookies, "headers": BROWSER | {"HX-Request": "true"}}
        async with service.client.post("/page/probe", **asked) as answer:
            assert "Not checked" in await answer.text()


async def test_a_probe_tells_what_a_url_leads_to(tmp_path: Path) -> None:
    """Name, size and format before the start, where the service has `POST /imports/probe`; else nothing."""
    async with (
        Origin({"/d.qcow2": behaviours.serve(qcow2())}) as origin,
        Running(tmp_path, origin) as service,
    ):
        has_probe = any(
            getattr(route, "path", "") == "/imports/probe" for route in service.service.app.routes
        )
        assert ('id="url-found"' in await seen(service, "/")) is has_probe
        status, text, _ = await sent(service, "/page/probe", url=origin.url("/d.qcow2"))
        assert status == 200
        if has_probe:
            assert "d.qcow2" in text
            assert "QCOW2" in text
        else:
            assert text.strip() == ""
        form, cookies = await proven(service, url="ftp://x/y")
        asked = {"data": form, "cookies": cookies, "headers": BROWSER | {"HX-Request": "true"}}
        async with service.client.post("/page/probe", **asked) as answer:
            assert (answer.status, (await answer.text()).strip()) == (200, "")


KEY = "-----BEGIN PRIVATE KEY-----\nhush-key\n-----END PRIVATE KEY-----"


@pytest.mark.parametrize("path", ["/page/submit", "/page/probe"])
@pytest.mark.parametrize(
    ("field", "typed", "told"),
    [
        ("ca_pem", KEY, "Certificate authorities"),
        ("ca_pem", "hush, pasted into the wrong field", "Certificate authorities"),
        ("headers", "Authorization: Bearer hush\nhush without a colon\nX-Token: hush", "X-Token</span>"),
        ("notify_secret", "hush-hush-hush-hush", "Webhook secret"),
        ("url", "https://user:hush@example.org/d.qcow2", "https://example.org/d.qcow2"),
        ("url", "https://example.org/d.qcow2?X-Amz-Signature=hush", "X-Amz-Signature=REDACTED"),
        ("url", "https://example.org/d.qcow2#token=hush", "https://example.org/d.qcow2"),
        ("url", "https://example.org/" + "d" * 600 + "?sig=hush", "URL"),
        ("checksum_url", "https://example.org/S?token=hush", "token=REDACTED"),
        ("notify_url", "https://example.org/S?token=hush", "token=REDACTED"),
        ("mirrors", "https://example.org/m\nhttps://example.org/n?sig=hush", "sig=REDACTED"),
        ("client_key_pem", "hush", "Client key"),
        ("client_certificate_pem", KEY, "Client certificate"),
        ("s3_secret_access_key", "hush", "Secret access key"),
        ("s3_session_token", "hush", "Session token"),
        ("name", KEY, "Name"),
        ("properties", KEY, "Properties"),
    ],
)
async def test_a_form_shown_again_holds_no_secret(
    tmp_path: Path, path: str, field: str, typed: str, told: str
) -> None:
    """What may be one has to be entered again, and the page says so; what is none is there."""
    async with Running(tmp_path) as service:
        fields = {"url": "https://example.org/x", "tags": "a, b", "max_bytes": "plenty", field: typed}
        status, text, _ = await sent(service, path, **fields)
    assert status == 400
    assert "hush" not in text
    assert "Enter them again" in text
    assert told in text
    assert 'value="a, b"' in text


async def test_a_form_shown_again_holds_certificates(tmp_path: Path) -> None:
    """They are public, once they are known to be certificates and nothing else; a plain query is, too."""
    pem = trustme.CA().cert_pem.bytes().decode()
    async with Running(tmp_path) as service:
        url = "https://example.org/x?arch=amd64"
        _, text, _ = await sent(service, "/page/submit", url=url, max_bytes="plenty", ca_pem=pem)
    assert pem.strip() in text.replace("\r", "")
    assert f'value="{url}"' in text
    assert "Enter them again" not in text


async def test_disk_and_conversion_are_chosen_on_the_page(tmp_path: Path) -> None:
    """As in the API; what the operator does not offer is refused beside its field."""
    members = [("one.qcow2", qcow2(clusters=2)), ("two.qcow2", qcow2(clusters=3))]
    routes = {"/d.tar": behaviours.serve(make_tar(members))}
    rules = {"offered": ["as-received"]}
    async with Origin(routes) as origin, Running(tmp_path, origin, convert=rules) as service:
        fields = {"url": origin.url("/d.tar"), "disk": "two.qcow2", "convert_to": "as-received"}
        status, _, target = await sent(service, "/page/submit", **fields)
        assert status == 303
        ended = await service.ended(target.rpartition("/")[2])
        assert ended["state"] == "succeeded", ended["verdict"]
        assert ended["digests"]["sha256"] == hashlib.sha256(members[1][1]).hexdigest()
        again = await seen(service, f"/?from={ended['id']}")
        assert 'value="two.qcow2"' in again
        assert "<option selected>as-received</option>" in again
        status, text, _ = await sent(service, "/page/submit", url=origin.url("/d.tar"), convert_to="raw")
        assert (status, "Convert to must be one of as-received." in text) == (400, True)


async def test_a_bucket_is_named_on_the_page(tmp_path: Path) -> None:
    """Its keys reach the signature and no page; what is wrong with them stands beside its field."""
    async with (
        Origin({"/images/d.qcow2": behaviours.serve(qcow2())}) as origin,
        Running(tmp_path, origin) as service,
    ):
        place = {"url": "s3://images/d.qcow2", "s3_endpoint": f"http://127.0.0.1:{origin.port}"}
        keys = {"s3_access_key_id": "AKIALAB", "s3_secret_access_key": "hush"}
        status, _, target = await sent(service, "/page/submit", **place, **keys, s3_addressing="path")
        assert status == 303
        ended = await service.ended(target.rpartition("/")[2])
        assert ended["state"] == "succeeded", ended["verdict"]
        assert "Credential=AKIALAB/" in (origin.requests[0].header("Authorization") or "")
        assert "hush" not in await seen(service, target)
        again = await seen(service, f"/?from={ended['id']}")
        assert f'value="{place["s3_endpoint"]}"' in again
        assert not {"AKIALAB", "hush", "REDACTED"} & set(re.findall(r"\w+", again))
        assert "Enter them again" in again
        for fields, words in (
            ({"s3_access_key_id": "AKIALAB"}, "Secret access key is missing."),
            ({"s3_region": "a/b"}, "Bucket region is a name such as us-east-1."),
            ({"url": "s3://images"}, "it names no object"),
            ({"url": "https://example.org/x"}, "s3 is of no use"),
        ):
            status, text, _ = await sent(service, "/page/submit", **{**place, **fields})
            assert (status, words in text) == (400, True), (words, re.findall('class="wrong".*', text))
