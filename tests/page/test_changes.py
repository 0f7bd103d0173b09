"""Changes on the page: images edited and deleted, several at once; files uploaded."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.images import HTML, qcow2
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.page.test_page import BROWSER, proven, seen, sent
from tests.service import Running


async def chosen(service: Running, path: str, name: str, ids: list[str], **fields: str) -> tuple[int, str]:
    """Send a form in which several entries are chosen; status and text come back."""
    form, cookies = await proven(service, **fields)
    pairs = [*form.items(), *((name, one) for one in ids)]
    async with service.client.post(
        path, data=pairs, cookies=cookies, headers=BROWSER, allow_redirects=False
    ) as answer:
        return answer.status, await answer.text()


async def test_an_image_is_renamed_described_shared_and_protected(tmp_path: Path) -> None:
    """One form for all of it; the Image API tells the same."""
    async with Origin({"/d": behaviours.serve(qcow2())}) as origin, Running(tmp_path, origin) as service:
        image_id = (await service.run(url=origin.url("/d"), disk_format=None))["image_id"]
        path = f"/page/images/{image_id}"
        fields = {
            "name": "Debian <13>",
            "description": "For tests.\nAll of them.",
            "tags": "b, a, a",
            "visibility": "shared",
            "members": "",
            "protected": "yes",
        }
        assert (await sent(service, f"{path}/edit", **fields))[::2] == (303, path)
        assert (await sent(service, f"{path}/edit", **fields | {"members": "one\ntwo"}))[0] == 303
        assert (await sent(service, f"{path}/edit", **fields | {"members": "two, three"}))[0] == 303
        image = await service.get(f"/v2/images/{image_id}")
        assert (image["name"], image["tags"], image["visibility"], image["protected"]) == (
            *("Debian <13>", ["a", "b"], "shared", True),
        )
        members = (await service.get(f"/v2/images/{image_id}/members"))["members"]
        assert {member["member_id"] for member in members} == {"two", "three"}
        text = await seen(service, path)
        assert "Debian &lt;13&gt;" in text
        assert "For tests." in text
        assert (await sent(service, f"{path}/delete"))[0] == 403
        assert (await sent(service, f"{path}/edit", **fields | {"visibility": "nowhere"}))[0] == 400
        del fields["protected"]
        assert (await sent(service, f"{path}/edit", **fields | {"description": "", "name": ""}))[0] == 303
        image = await service.get(f"/v2/images/{image_id}")
        assert (image["name"], image["protected"], "description" in image) == (None, False, False)


async def test_several_images_at_once(tmp_path: Path) -> None:
    """Tags, protection and visibility in one step; deleting asks once more, and says what it could not do."""
    async with Origin({"*": behaviours.serve(qcow2())}) as origin, Running(tmp_path, origin) as service:
        ids = [(await service.run(url=origin.url(f"/{n}"), disk_format=None))["image_id"] for n in range(3)]
        bulk = "/page/images/bulk"
        assert (await chosen(service, bulk, "image", ids, action="tag", tag="new"))[0] == 303
        assert (await chosen(service, bulk, "image", ids[:1], action="untag", tag="new"))[0] == 303
        assert (await chosen(service, bulk, "image", ids[:1], action="protect"))[0] == 303
        assert (await chosen(service, bulk, "image", ids, action="community"))[0] == 303
        images = [await service.get(f"/v2/images/{one}") for one in ids]
        assert [image["tags"] for image in images] == [[], ["new"], ["new"]]
        assert {image["visibility"] for image in images} == {"community"}
        for action, found, tag in (("delete", [], ""), ("explode", ids, ""), ("tag", ids, " ")):
            assert (await chosen(service, bulk, "image", found, action=action, tag=tag))[0] == 400
        status, text = await chosen(service, bulk, "image", ids, action="delete")
        assert status == 200
        assert "Delete 3 images?" in text
        assert len((await service.get("/v2/images?visibility=community"))["images"]) == 3
        status, text = await chosen(service, bulk, "image", ids, action="delete", sure="yes")
        assert status == 409
        assert "2 images were changed" in text
        assert [
            image["id"] for image in (await service.get("/v2/images?visibility=community"))["images"]
        ] == ids[:1]
        assert (await chosen(service, bulk, "image", ids[:1], action="unprotect"))[0] == 303
        assert (await chosen(service, bulk, "image", ids[:1], action="delete", sure="yes"))[0] == 303
        assert service.traces() == []


async def test_several_imports_are_cancelled_at_once(tmp_path: Path) -> None:
    """Those that have ended stay as they are."""
    routes = {"/d": behaviours.stall(qcow2(), 100), "/p": behaviours.serve(HTML)}
    async with Origin(routes) as origin, Running(tmp_path, origin) as service:
        running = [(await service.submit(url=origin.url("/d")))["id"] for _ in range(2)]
        ended = (await service.run(url=origin.url("/p")))["id"]
        status, _ = await chosen(service, "/page/imports/bulk", "import", [*running, ended])
        assert status == 303
        states = [(await service.get(f"/imports/{one}"))["state"] for one in (*running, ended)]
        assert states == ["cancelled", "cancelled", "refused"]
        assert (await chosen(service, "/page/imports/bulk", "import", []))[0] == 400


async def test_lists_are_sorted_counted_and_paged_both_ways(tmp_path: Path) -> None:
    """Any column, either direction; search and filters stay while somebody turns pages."""
    async with (
        Origin({"*": behaviours.serve(qcow2())}) as origin,
        Running(tmp_path, origin, server={"page_items": 2}) as service,
    ):
        for name in ("b", "a", "c"):
            await service.run(url=origin.url(f"/{name}"), disk_format=None, name=f"disk-{name}")

        async def names(query: str) -> list[str]:
            text = await seen(service, query)
            return re.findall(r">disk-(\w)</a>", text)

        assert await names("/page/images?sort=name") == ["a", "b"]
        assert await names("/page/images?sort=name&page=2") == ["c"]
        assert await names("/page/images?sort=name&dir=desc") == ["c", "b"]
        assert await names("/page/images") == ["c", "a"]
        assert await names("/page/imports?sort=name&dir=desc") == ["c", "b"]
        assert await names("/page/imports?q=disk-b") == ["b"]
        text = await seen(service, "/page/images?sort=name&q=disk&page=2")
        assert 'href="/page/images?q=disk&amp;sort=name&amp;dir=asc"' in text
        assert "3 entries, page 2 of 2" in text
        text = await seen(service, "/page/imports?state=succeeded")
        assert re.search(r'succeeded <span class="count">3</span>', text)
        assert 'rel="next"' in text


@pytest.mark.parametrize(
    "query",
    [
        *("imports?state=%22%3E%3Cimg%20src=x%3E", "imports?sort=url", "imports?dir=up", "imports?page=0"),
        *("images?page=x", "images?status=gone", "images?disk_format=exe", "images?colour=red"),
        *("images?visibility=all", "images?q=a&q=b", "images?sort=id;drop", f"images?page={'9' * 30}"),
    ],
)
async def test_lists_refuse_nonsense(tmp_path: Path, query: str) -> None:
    """With what there is instead."""
    async with Running(tmp_path) as service:
        text = await seen(service, f"/page/{query}", 400)
    assert "request-invalid" in text
    assert "<img src=x" not in text


async def put(service: Running, body: bytes, *, proof: str | None = None, **query: str) -> tuple[int, Any]:
    """Send a file as the page's script does."""
    form, cookies = await proven(service)
    headers = {
        **BROWSER,
        "Content-Type": "application/octet-stream",
        "X-Form-Proof": form["proof"] if proof is None else proof,
    }
    async with service.client.put(
        "/page/upload", params=query, data=body, cookies=cookies, headers=headers
    ) as answer:
        return answer.status, await answer.json()


async def test_a_file_is_uploaded_through_the_guards(tmp_path: Path) -> None:
    """A good one becomes an image; a refused one, or one without proof, leaves nothing."""
    async with Running(tmp_path, size={"max_bytes": 900_000}) as service:
        status, answer = await put(service, qcow2(clusters=2), name="mine.qcow2", visibility="private")
        assert status == 201, answer
        image = await service.get(f"/v2/images/{answer['image'].rpartition('/')[2]}")
        assert (image["name"], image["status"], image["disk_format"]) == ("mine.qcow2", "active", "qcow2")
        for body, proof, code in (
            (HTML, None, 400),
            (qcow2(), "0" * 64, 403),
            (b"\0" * 900_001, None, 413),
        ):
            status, answer = await put(service, body, proof=proof, name="bad")
            assert status == code, answer
            assert answer["title"]
        assert len((await service.get("/v2/images"))["images"]) == 1
        assert len(service.traces()) == 1


async def test_no_form_has_a_nul_character(tmp_path: Path) -> None:
    """An index that keeps no such text is not given one."""
    async with Running(tmp_path) as service:
        status, text = await chosen(service, "/page/imports/bulk", "import", ["a\0b"])
        assert (status, "NUL" in text) == (400, True)
