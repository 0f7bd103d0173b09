"""CPU of small imports without HTTP before them and without anybody who asks how far they are.

`python -m bench.small 300` submits so many of 64 KiB, sixteen at a time, to a service in this process, and
prints what one of them takes of the processor: on a machine with other work, where the rate says nothing.
"""

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import uvloop

from bench.check import ask
from bench.check_import import SIZE, sections, source, until_started
from bench.lab.place import make_file
from bench.lab.service import toml
from fetcher.interpreter import exclude_from_collection
from fetcher.logs import set_up_logs
from fetcher.service import Service

CLIENTS, WARM = 16, 32
OPEN = {
    "max_submits_per_minute": 1_000_000,
    "max_submits_per_minute_per_origin": 1_000_000,
    "max_submits_per_minute_in_all": 1_000_000,
    "max_running_per_origin": CLIENTS,
    "max_running_per_project": CLIENTS,
}


async def _import(service: Service, urls: Iterator[str]) -> None:
    imports = service.app.state.services.importer
    for url in urls:
        body = json.dumps({"url": url, "disk_format": "raw"}).encode()
        if await ask(service, "POST", "/imports", body) >= 300:
            raise RuntimeError("the import was refused")
        while len(imports.running()) >= CLIENTS:
            await asyncio.sleep(0.01)


async def _import_all(service: Service, urls: list[str]) -> None:
    left = iter(urls)
    await asyncio.gather(*(_import(service, left) for _ in range(CLIENTS)))
    importer = service.app.state.services.importer
    while sum(importer.counts().values()):
        await asyncio.sleep(0.01)


async def measure(count: int) -> float:
    """Return the milliseconds of CPU that an import takes, in all threads of this process."""
    with tempfile.TemporaryDirectory() as name, source(Path(name)) as port:
        home = Path(name)
        for number in range(count + WARM):
            make_file(home / f"image{number}", SIZE)
        settings = sections(port)
        settings["imports"] = OPEN
        (home / "config.toml").write_text(toml(settings))
        service = Service(home / "config.toml")
        set_up_logs(service.settings)
        urls = [f"http://127.0.0.1:{port}/image{number}" for number in range(count + WARM)]
        async with service.app.router.lifespan_context(service.app):
            await until_started(service)
            await _import_all(service, urls[:WARM])
            exclude_from_collection()  # As the service does: the collector would take a tenth of the time.
            before = time.process_time()
            await _import_all(service, urls[WARM:])
            return 1000 * (time.process_time() - before) / count


if __name__ == "__main__":
    uvloop.install()
    print(f"{asyncio.run(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 300)):.2f} ms of CPU each")
