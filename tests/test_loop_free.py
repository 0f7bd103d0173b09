"""The loop's thread never waits for a disk, a lock or a peer: here, calls that block raise."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from blockbuster import BlockBuster

from tests.images import qcow2, raw
from tests.lab import Origin, behaviours
from tests.service import Running

BODY = raw(3_000_000, seed=5)
# What may block, and where: the kernel answers each from its memory.
ALLOWED = [
    ("os.statvfs", "fetcher/store/filesystem/disk.py", "room"),
    ("os.stat", "fetcher/store/filesystem/store.py", "_stat"),
    ("os.stat", "fetcher/index/sqlite/index.py", "file_bytes"),
    # Templates of the package, each read once.
    ("os.stat", "jinja2/loaders.py", "get_source"),
    ("io.TextIOWrapper.read", "jinja2/loaders.py", "get_source"),
    # Files and folders of /proc.
    ("io.BufferedReader.read", "prometheus_client/process_collector.py", "collect"),
    ("os.listdir", "prometheus_client/process_collector.py", "collect"),
]


@contextmanager
def nothing_may_block() -> Iterator[None]:
    """Have every blocking call raise in a thread whose loop runs."""
    watch = BlockBuster()
    for name, file, function in ALLOWED:
        watch.functions[name].can_block_in(file, function)
    watch.activate()
    try:
        yield
    finally:
        watch.deactivate()


async def test_no_request_and_no_import_blocks_the_loop(tmp_path: Path) -> None:
    """Submit, follow, pull, show, list, download, upload and delete, all without one blocking call."""
    async with (
        Origin({"/x": behaviours.serve(BODY)}) as origin,
        Running(tmp_path, origin) as service,
    ):
        with nothing_may_block():
            ended = await service.run(url=origin.url("/x"))
            assert ended["state"] == "succeeded", ended["verdict"]
            image = f"/v2/images/{ended['image_id']}"
            for path in ("/healthz", "/readyz", "/metrics", "/limits", "/imports", "/v2/images", image):
                assert (await service.call("GET", path))[0] == 200, path
            for path in ("/", "/page/imports", "/page/images"):
                status = (await service.call("GET", path, headers={"Accept": "text/html"}))[0]
                assert status in {200, 300, 404}, path
            async with service.client.get(f"{image}/file") as answer:
                assert await answer.read() == BODY
            made = {"disk_format": "qcow2", "container_format": "bare"}
            status, sent, _headers = await service.call("POST", "/v2/images", json=made)
            assert status == 201, sent
            octets = {"Content-Type": "application/octet-stream"}
            path = f"/v2/images/{sent['id']}"
            assert (await service.call("PUT", f"{path}/file", data=qcow2(), headers=octets))[0] == 204
            for gone in (path, image):
                assert (await service.call("DELETE", gone))[0] == 204
