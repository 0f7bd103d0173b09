"""Measure what digests cost on this processor: they are the floor of every pull."""

import hashlib
import time
from collections.abc import Sequence

BLOCK = bytes(1_048_576)
BLOCKS = 4
LOOKS = 5  # The best one counts: what else the machine does makes the others longer.


def seconds_per_gib(algorithms: Sequence[str]) -> dict[str, float]:
    """Measure the processor time of each digest, in seconds for a GiB."""
    return {name: min(_once(name) for _ in range(LOOKS)) for name in algorithms}


def _once(name: str) -> float:
    hasher = hashlib.new(name, usedforsecurity=False)
    began = time.process_time()
    for _ in range(BLOCKS):
        hasher.update(BLOCK)
    return (time.process_time() - began) * 1024 / BLOCKS


def advice_on(computed: Sequence[str], address: str, measured: dict[str, float]) -> str:
    """Say which setting would cost less here; empty where none would by much.

    Args:
        computed: What is computed of every image, the address among it.
        measured: Of sha256 and sha512 at least.
    """
    if address != "sha256" or "sha512" not in computed or measured["sha256"] < measured["sha512"]:
        return ""
    return (
        'This processor has no SHA extensions: checksum.address = "sha512" and checksum.computed without'
        f" sha256 save {measured['sha256']:.1f} s of each GiB."
    )
