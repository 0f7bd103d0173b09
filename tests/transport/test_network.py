"""A network that cuts, stalls, reorders and rewrites: the right bytes arrive, or an end that says why."""

import hashlib
import random
from pathlib import Path

import pytest

from tests.images import raw
from tests.lab import behaviours
from tests.lab.meddler import (
    Meddler,
    Trick,
    cutting,
    late,
    misdirecting,
    passing,
    retagging,
    rewriting,
    stalling,
)
from tests.lab.origin import Origin
from tests.service import Running

SIZE = 1_000_000
BODY = raw(SIZE)
SHA256 = hashlib.sha256(BODY).hexdigest()
PACE = {"idle_seconds": 0.3}

# Tricks that an import outlives, and from which bytes on its attempts ask; None: whatever they do.
OUTLIVED: dict[str, tuple[list[Trick], list[int] | None]] = {
    "cut twice": ([cutting(300_000), cutting(300_000), passing()], [0, 300_000, 600_000]),
    "reset": ([cutting(300_000, reset=True), passing()], None),
    "cut before the body": ([cutting(0), passing()], [0, 0]),
    "stalled": ([stalling(300_000), passing()], [0, 300_000]),
    "held back": ([late(0.05), passing()], [0]),
    "another tag at once": ([retagging('"v9"'), passing()], [0]),
    "another tag for the rest": ([cutting(300_000), retagging('"v9"'), passing()], [0, 0]),
    "a weak tag for the rest": ([cutting(300_000), retagging('W/"v1"'), passing()], None),
    "no tag at first": ([rewriting(rb"(?im)^ETag: .*?\r\n", b""), passing()], [0]),
    "another part": ([cutting(300_000), misdirecting(b"300001-"), passing()], [0, 0]),
    "another size": ([cutting(300_000), rewriting(rb"/1000000\r", b"/1000001\r"), passing()], [0, 0]),
    "a part called the whole": (
        [cutting(300_000), rewriting(rb"206 Partial Content", b"200 OK"), passing()],
        None,
    ),
}


@pytest.mark.parametrize("name", OUTLIVED)
async def test_an_import_outlives_the_network(name: str, tmp_path: Path) -> None:
    """It goes on where that is certain and begins anew where it is not; the bytes are the source's."""
    tricks, offsets = OUTLIVED[name]
    async with (
        Origin({"/x": behaviours.serve(BODY, etag='"v1"')}) as origin,
        Meddler(origin, tricks) as network,
        Running(tmp_path, network, pace=PACE) as service,
    ):
        ended = await service.run(
            url=network.url("/x"), checksum=f"sha256:{SHA256}" if offsets is None else None
        )
        assert ended["state"] == "succeeded", ended
        assert ended["digests"]["sha256"] == SHA256
        if offsets is not None:
            assert [attempt["offset"] for attempt in ended["attempts"]] == offsets
        assert service.traces() == [f"blobs/{SHA256[:2]}/{SHA256}"]


def chance(dice: random.Random) -> Trick:
    """Any trick, at any byte."""
    after = dice.randrange(SIZE)
    return dice.choice(
        [
            passing(),
            passing(),
            cutting(after),
            cutting(after, reset=True),
            stalling(after),
            late(0.1),
            retagging('"v9"'),
            misdirecting(b"%d-" % after),
        ]
    )


@pytest.mark.parametrize("connections", [1, 4])
@pytest.mark.parametrize("seed", range(4))
async def test_whatever_the_network_does(seed: int, connections: int, tmp_path: Path) -> None:
    """Five imports, over several connections too: none has other bytes, each ends, none leaves a trace."""
    dice = random.Random(seed)
    bodies = {f"/{number}": raw(SIZE, seed=number) for number in range(5)}
    sums = {path: hashlib.sha256(body).hexdigest() for path, body in bodies.items()}
    routes = {path: behaviours.serve(body, etag=f'"{path}"') for path, body in bodies.items()}
    rules = {"connections": connections, "min_bytes": 100_000, "segment_bytes": 65_536}
    async with (
        Origin(routes) as origin,
        Meddler(origin, [*(chance(dice) for _ in range(40)), passing()]) as network,
        Running(tmp_path, network, pace=PACE, ranges=rules, retry={"attempts": 8}) as service,
    ):
        made = {path: await service.submit(url=network.url(path)) for path in bodies}
        kept = set()
        for path, created in made.items():
            ended = await service.ended(created["id"])
            assert ended["state"] in {"succeeded", "failed"}, ended
            if ended["state"] == "succeeded":
                assert ended["digests"]["sha256"] == sums[path]
                kept.add(f"blobs/{sums[path][:2]}/{sums[path]}")
        assert set(service.traces()) == kept
        assert kept
