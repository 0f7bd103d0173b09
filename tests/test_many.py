"""Many imports at once: all come in, memory stays bounded, the API keeps answering."""

import asyncio
import hashlib
from pathlib import Path

from tests.images import raw
from tests.lab import behaviours
from tests.lab.origin import Origin
from tests.processes import Process
from tests.test_crash import agree, config

MIB = 1 << 20


async def test_fifty_imports_from_slow_and_fast_origins(tmp_path: Path) -> None:
    """50 imports of 4 MiB run side by side; the process never holds their bodies."""
    fast = raw(4 * MIB, seed=1)
    slow = raw(MIB // 2, seed=2)
    routes = {f"/fast{number}": behaviours.serve(fast[number:]) for number in range(25)}
    routes |= {
        f"/slow{number}": behaviours.serve(slow[number:], bytes_per_second=512 * 1024) for number in range(25)
    }
    limits = {"max_running_per_origin": 50}
    async with (
        Origin(routes) as origin,
        Process(config(tmp_path, origin, imports=limits), loads_anew=True) as service,
    ):
        before = service.resident_bytes()
        most = before
        made = {}
        for path in routes:
            made[path] = (
                await service.call("POST", "/imports", json={"url": origin.url(path), "disk_format": "raw"})
            )[1]["id"]
        while (await service.call("GET", "/healthz"))[1]["imports"] != {"queued": 0, "running": 0}:
            most = max(most, service.resident_bytes())
            status, page = await service.call("GET", "/imports?limit=100")
            assert status == 200
            assert len(page["imports"]) == 50
            await asyncio.sleep(0.01)
        for path, import_id in made.items():
            ended = await service.until(import_id, "succeeded", "failed", "refused")
            whole, number = (fast, path[5:]) if path.startswith("/fast") else (slow, path[5:])
            assert ended["state"] == "succeeded", ended["attempts"]
            assert ended["digests"]["sha256"] == hashlib.sha256(whole[int(number) :]).hexdigest()
        assert most - before < 100 * MIB  # 25 bodies of 4 MiB alone would be as much.
        await service.kill()
        agree(tmp_path / "data")
