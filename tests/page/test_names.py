"""Pages on catalogues and schedules: found, imported and kept new by forms alone, without a script."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.api.image_v2.cloud import Cloud
from tests.catalogues.test_catalogues import source
from tests.catalogues.test_schedules import BODIES, streams
from tests.lab.behaviours import serve
from tests.lab.catalogue import item, products, ubuntu
from tests.lab.origin import Origin
from tests.page.test_page import NASTY, seen, sent
from tests.service import Running

OLD = (datetime.now(UTC) - timedelta(days=400)).strftime("%Y%m%d")
NEW = (datetime.now(UTC) - timedelta(days=10)).strftime("%Y%m%d")


def mixed() -> dict[str, Any]:
    """A catalogue with an image of today and one whose time is over, for another architecture."""
    new = ubuntu({NEW: item("i/20260401.img", BODIES["20260401"], "raw")})
    old = ubuntu(
        {OLD: item("i/20260402.img", BODIES["20260402"], "raw")},
        version="24.04",
        release="noble",
        arch="arm64",
    )
    old |= {"support_eol": "2025-01-01", "aliases": "24.04", "release_title": NASTY}
    return streams("20260401") | {"/r/streams/v1/a.json": serve(products(new, old))}


async def test_an_image_is_found_and_imported(tmp_path: Path) -> None:
    """By words, version, architecture, age and end of life; the button is a form with its proof."""
    async with Origin(streams("20260401")) as origin, Running(tmp_path, origin, **source(origin)) as service:
        text = await seen(service, "/page/catalogue?q=ubuntu")
        assert 'href="/page/catalogue" aria-current="page"' in text
        reference = re.search(r'name="image" value="([^"]+)"', text)
        assert reference is not None
        status, _, place = await sent(service, "/page/catalogue/import", image=reference[1])
        assert status == 303
        ended = await service.ended(place.rpartition("/")[2])
        assert (ended["state"], ended["verified_by"]) == ("succeeded", "catalogue")
        async with service.client.post("/page/catalogue/import", data={"image": reference[1]}) as answer:
            assert answer.status == 403
        assert (await sent(service, "/page/catalogue/import", image="nobody:1"))[0] == 404


async def test_a_search_is_narrowed(tmp_path: Path) -> None:
    """Each field by itself; text of the publisher stays text; what has ended has its word."""
    async with Origin(mixed()) as origin, Running(tmp_path, origin, **source(origin)) as service:
        whole = await seen(service, "/page/catalogue")
        assert "<script>alert" not in whole
        assert whole.count('<th scope="row">') == 2
        assert '<span class="badge failed">ended</span>' in whole
        for query, version in {
            "arch=x86_64": "26.04",
            "arch=aarch64": "24.04",
            "age=90": "26.04",
            "support=ended": "24.04",
            "support=supported": "26.04",
            "version=24.04": "24.04",
            "q=noble": "24.04",
            "q=nobody": None,
            "version=99": None,
        }.items():
            text = await seen(service, f"/page/catalogue?{query}")
            found = re.findall(r'<th scope="row">ubuntu:([0-9.]+)', text)
            assert found == ([version] if version else []), query
        assert "No image matches." in await seen(service, "/page/catalogue?q=nobody")
        await seen(service, "/page/catalogue?arch=none", 400)
        names = re.findall(
            r'<th scope="row">ubuntu:([0-9.]+)', await seen(service, "/page/catalogue?sort=name")
        )
        assert names == ["24.04", "26.04"]


async def test_without_catalogues_nobody_is_led_there(tmp_path: Path) -> None:
    """The navigation names what there is; the page says who could change that."""
    async with Running(tmp_path) as service:
        for path in ("/page/catalogue", "/page/schedules", "/page/exports"):
            assert f'href="{path}"' not in (await seen(service, "/")).partition("</nav>")[0]
        assert "The operator has set up no catalogue." in await seen(service, "/page/catalogue")


async def test_a_schedule_is_made_changed_and_removed(tmp_path: Path) -> None:
    """The list tells the last and the next look; a webhook's secrets are shown nowhere."""
    async with Origin(streams("20260401")) as origin, Running(tmp_path, origin, **source(origin)) as service:
        form = await seen(service, "/page/schedules/new?catalogue=ubuntu%3A26.04")
        assert 'value="ubuntu-26.04"' in form
        hook = origin.url("/hook?token=hushhush1234")
        fields = {"catalogue": "ubuntu:26.04", "name": NASTY, "keep": "2", "hours": "12", "retire": "show"}
        fields |= {"visibility": "private", "convert_to": "", "notify_url": hook}
        assert (await sent(service, "/page/schedules", **fields))[0::2] == (303, "/page/schedules")
        [made] = (await service.get("/schedules"))["schedules"]
        assert (made["keep"], made["interval_seconds"], made["retire"]) == (2, 43_200, "show")
        text = await seen(service, "/page/schedules")
        assert "<script>alert" not in text
        assert "Look now" in text
        place = f"/page/schedules/{made['id']}"
        text = await seen(service, place)
        assert "hushhush1234" not in text
        assert "token=REDACTED" in text
        fields |= {"name": "lts", "keep": "5", "notify_url": ""}
        assert (await sent(service, place, **fields))[0] == 303
        changed = await service.get(f"/schedules/{made['id']}")
        assert (changed["name"], changed["keep"], bool(changed["notify_url"])) == ("lts", 5, True)
        assert (await sent(service, place, **fields, forget="yes"))[0] == 303
        assert (await service.get(f"/schedules/{made['id']}"))["notify_url"] is None
        assert (await sent(service, f"{place}/run"))[0] == 303
        assert (await sent(service, f"{place}/delete"))[0] == 303
        assert "No schedules yet." in await seen(service, "/page/schedules")
        await seen(service, place, 404)


async def test_a_mistake_stands_beside_its_field(tmp_path: Path) -> None:
    """What was typed stays, except what may be a secret; nothing is made."""
    async with Origin(streams("20260401")) as origin, Running(tmp_path, origin, **source(origin)) as service:
        good = {"catalogue": "ubuntu:26.04", "name": "mine", "keep": "3", "hours": "24"}
        wrong = {
            "keep": ("x", "Images to keep must be a whole number, such as 3; 0 keeps all."),
            "hours": ("0.001", "Hours between two looks must be a number of hours"),
            "catalogue": ("ubuntu@20260401", "must be a name without a serial"),
            "notify_url": ("ftp://hush.example/hushhush", ""),
        }
        for field, (value, words) in wrong.items():
            status, text, _ = await sent(service, "/page/schedules", **{**good, field: value})
            assert status == 400, field
            assert words in text, field
            assert 'value="mine"' in text
            assert "hushhush" not in text
        assert (await service.get("/schedules"))["schedules"] == []


async def test_what_a_person_may_not_do_is_not_offered(tmp_path: Path) -> None:
    """A reader sees lists without buttons, and another project's schedule is no page."""
    async with Origin(streams("20260401")) as origin, Cloud(tmp_path, origin, **source(origin)) as cloud:
        body = {"catalogue": "ubuntu:26.04", "name": "ubuntu"}
        alice = {"X-Auth-Token": "token of alice"}
        made = (await cloud.call("POST", "/schedules", json=body, headers=alice))[1]

        async def page(who: str, path: str) -> tuple[int, str]:
            headers = {"Accept": "text/html", "X-Auth-Token": f"token of {who}"}
            async with cloud.client.get(path, headers=headers) as answer:
                return answer.status, await answer.text()

        for path in ("/page/catalogue", "/page/schedules", f"/page/schedules/{made['id']}"):
            status, text = await page("rita", path)
            assert status == 200
            assert 'method="post"' not in text, path
        assert (await page("bob", f"/page/schedules/{made['id']}"))[0] == 404
        assert "Look now" in (await page("alice", "/page/schedules"))[1]
