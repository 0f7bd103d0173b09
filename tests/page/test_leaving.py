"""Pages on images that leave: exports, links, what is published; and on the proof of where they came from."""

import asyncio
import html
import json
import re
from pathlib import Path

from fetcher.attest.dsse import MEDIA_TYPE
from tests.api.test_links import follow
from tests.exporter.buckets import Bucket
from tests.exporter.places import image_for
from tests.exporter.receiver import Receiver
from tests.exporter.test_put import IMAGE, ended, push, sending
from tests.images import qcow2
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.page.test_page import BROWSER, seen, sent
from tests.service import Running


async def test_an_image_is_sent_and_followed(tmp_path: Path) -> None:
    """From the image's page to what the receiver said; neither URL nor headers are shown again."""
    async with Receiver() as receiver, sending(tmp_path, receiver) as (service, image_id):
        assert f'href="/page/exports/new?image={image_id}"' in await seen(service, f"/page/images/{image_id}")
        form = await seen(service, f"/page/exports/new?image={image_id}")
        assert receiver.host in form
        url = receiver.url("/d?sig=hushhush1234")
        fields = {"image": image_id, "url": url, "headers": "x-ms-blob-type: BlockBlob\n"}
        status, _, place = await sent(service, "/page/exports", **fields)
        assert status == 303
        async with asyncio.timeout(30), service.client.get(f"{place}/events", headers=BROWSER) as events:
            told = (await events.read()).decode()
        assert told.rindex("event: end") >= 0
        assert receiver.taken == {"/d?sig=hushhush1234": IMAGE}
        for path in (place, "/page/exports"):
            text = await seen(service, path)
            assert "hushhush1234" not in text + told
            assert "succeeded" in text
        assert "The receiver has the image." in await seen(service, place)
        assert "No export matches." in await seen(service, "/page/exports?state=failed")
        await seen(service, "/page/exports?state=none", 400)
        await seen(service, "/page/exports/none", 404)


async def test_a_refused_export_is_told_without_what_was_typed(tmp_path: Path) -> None:
    """A host that is not allowed, and a header that is none."""
    async with Receiver() as receiver, sending(tmp_path, receiver) as (service, image_id):
        for fields, words in (
            ({"url": "https://evil.example.org/d?sig=hushhush1234"}, "images may not be sent to"),
            ({"url": receiver.url("/d?sig=hushhush1234"), "headers": "hushhush1234"}, "line 1 of Headers"),
        ):
            status, text, _ = await sent(service, "/page/exports", image=image_id, **fields)
            assert status in {400, 403}
            assert words in text
            assert "hushhush1234" not in text
        assert receiver.taken == {}


async def test_an_export_is_cancelled(tmp_path: Path) -> None:
    """The button ends it, and pressing it once more shows the same."""
    async with Receiver("hold") as receiver, sending(tmp_path, receiver) as (service, image_id):
        export = await push(service, image_id, receiver.url("/d"))
        place = f"/page/exports/{export['id']}"
        assert "Cancel export" in await seen(service, place)
        for _ in range(2):
            assert (await sent(service, f"{place}/cancel"))[0::2] == (303, place)
        assert "The export was cancelled." in await seen(service, place)


async def test_where_nothing_may_be_sent_nothing_is_offered(tmp_path: Path) -> None:
    """No receivers, no links, nothing published: an image's page has none of their buttons."""
    async with Origin({"/d": behaviours.serve(qcow2())}) as origin, Running(tmp_path, origin) as service:
        ended = await service.run(url=origin.url("/d"), disk_format="qcow2")
        text = await seen(service, f"/page/images/{ended['image_id']}")
        for words in ("Send this image", "Make a link", "Metalink"):
            assert words not in text
        form = await seen(service, f"/page/exports/new?image={ended['image_id']}")
        assert "allows no receivers" in form
        assert 'action="/page/exports"' not in form
        status, _, _ = await sent(service, f"/page/images/{ended['image_id']}/links")
        assert status == 403


async def test_a_link_is_made_and_shown_once(tmp_path: Path) -> None:
    """The page shows it, the link fetches the image, and the image's page does not have it."""
    rules = {"links": {"enabled": True}, "publish": {"enabled": True}}
    async with (
        Origin({"/d": behaviours.serve(qcow2())}) as origin,
        Running(tmp_path, origin, **rules) as service,
    ):
        ended = await service.run(url=origin.url("/d"), disk_format="qcow2", visibility="public")
        place = f"/page/images/{ended['image_id']}"
        status, text, _ = await sent(service, f"{place}/links", hours="0,5")
        assert status == 200
        found = re.search(r"<code>(http[^<]+)</code>", text)
        assert found is not None
        link = html.unescape(found[1])
        assert (await follow(service, link))[1] == qcow2()
        text = await seen(service, place)
        assert "signature=" not in text
        assert f'href="/streams/images/{ended["image_id"]}.meta4"' in text
        for hours in ("x", "9999999"):
            assert (await sent(service, f"{place}/links", hours=hours))[0] == 400


async def test_a_page_tells_who_signed_what(tmp_path: Path) -> None:
    """The key, the digests, the file, how to check it; the provenance beside it; the audit trail's head."""
    async with Origin({"/d": behaviours.serve(qcow2())}) as origin, Running(tmp_path, origin) as service:
        ended = await service.run(url=origin.url("/d"), disk_format="qcow2")
        text = await seen(service, f"/page/images/{ended['image_id']}")
        [key] = (await service.get("/keys"))["keys"]
        section = text.partition('id="attestation"')[2].partition("</section>")[0]
        for words in (key["key_id"], ended["digests"]["sha512"], "fetcher verify disk.img"):
            assert words in section
        file = f"/page/images/{ended['image_id']}/attestation"
        assert f'href="{file}"' in section
        async with service.client.get(file, headers=BROWSER) as answer:
            assert answer.content_type == MEDIA_TYPE
            assert await answer.text() == json.dumps(await answer.json(), separators=(",", ":"))
        async with service.client.get(f"/page/imports/{ended['id']}/provenance", headers=BROWSER) as answer:
            assert (await answer.json())["verified_by"] == ended["verified_by"]
        [number] = re.findall(r"(\d+:[0-9a-f]{64}) ", await seen(service, "/page/dashboard"))
        assert int(number.partition(":")[0]) > 0


async def test_an_image_is_sent_to_signed_parts(tmp_path: Path) -> None:
    """One URL a line and the size of a part; a size that is none is told by the field's label."""
    async with Bucket().server() as place, image_for(tmp_path, qcow2(), place) as (service, image_id):
        path = f"{place.base}/images/big"
        fields = {
            "url": f"{path}?uploadId=u&sig=hushhush1234",
            "part_urls": f"{path}?partNumber=1&uploadId=u&sig=hushhush1234\n\n",
            "part_bytes": "5 MiB",
            "abort_url": f"{path}?uploadId=u&sig=hushhush1234",
        }
        wrong = fields | {"part_bytes": "x"}
        status, text, _ = await sent(service, "/page/exports", image=image_id, **wrong)
        assert status == 400
        assert "Size of a part must be a size" in text
        assert "hushhush1234" not in text
        status, text, where = await sent(service, "/page/exports", image=image_id, **fields)
        assert status == 303, text
        assert (await service.get(f"/exports/{where.rpartition('/')[2]}"))["sender"] == "parts"


async def test_keys_of_a_bucket_are_taken_and_not_shown(tmp_path: Path) -> None:
    """The fields beside an s3:// URL are what the API takes as `s3`; the secret key is shown nowhere."""
    bucket = Bucket()
    async with bucket.server() as place, image_for(tmp_path, qcow2(), place) as (service, image_id):
        fields = {
            "url": "s3://images/page.img",
            "s3_endpoint": place.base,
            "s3_region": "us-east-1",
            "s3_access_key_id": "AKLAB",
            "s3_secret_access_key": "hushhush1234",
            "s3_addressing": "path",
        }
        status, text, where = await sent(service, "/page/exports", image=image_id, **fields)
        assert status == 303, text
        done = await ended(service, where.rpartition("/")[2])
        assert (done["state"], done["sender"]) == ("succeeded", "s3"), done["verdict"]
        assert bucket.objects["/images/page.img"] == qcow2()
        assert "hushhush1234" not in await seen(service, where)
