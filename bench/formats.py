"""The format guard measured: what it makes of the corpus beside its peers, and what it costs.

Usage, from the project's root:
    python bench/formats.py table      who accepts and refuses what, wrongly or rightly (a minute)
    python bench/formats.py speed      bytes per second for each size of chunk, beside oslo.utils
    python bench/formats.py worst      what the worst input of each recogniser costs, and the longest slice
    python bench/formats.py docs       write the made parts of docs/formats.md anew
    python bench/formats.py manifest   write the corpus's manifest anew, to be read before it is kept
"""

import logging
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, thread_time
from typing import TypeVar

sys.path.insert(0, str(Path(__file__).parent.parent))

from oslo_utils.imageutils import format_inspector  # after the path

from fetcher.errors import Failure  # after the path
from tests.guards.stream.formats import build, corpus, documentation, peers  # after the path
from tests.guards.stream.formats.dear import WORST  # after the path
from tests.guards.stream.formats.truth import HONEST, NO_IMAGE, UNSAFE, truth_of  # after the path

CHUNKS = (1_460, 16_384, 65_536, 262_144, 1_048_576)
SECONDS = 0.5
Result = TypeVar("Result")
ZSTD_AND_LZ4 = (b"\x28\xb5\x2f\xfd", b"\x50\x2a\x4d\x18", b"\x04\x22\x4d\x18", b"\x02\x21\x4c\x18")
PEERS = {"oslo.utils": peers.oslo, "qemu-img": peers.qemu_img}


def write_manifest() -> None:
    """Write what the guard makes of every sample now; rows of samples that cannot be made here stay."""
    known = defaultdict(list)
    for row in corpus.rows():
        known[row.sample].append(row)
    lines = ["\t".join(corpus.Row.__dataclass_fields__)]
    with tempfile.TemporaryDirectory() as folder:
        for name in corpus.NAMES:
            found = list(corpus.judge(name, Path(folder))) or known[name]
            lines += ["\t".join(vars(row).values()) for row in found]
    corpus.MANIFEST.write_text("\n".join(lines) + "\n", "utf-8")


def print_table() -> None:
    """Print how many samples each accepts and refuses, which of them wrongly, and what each calls them."""
    logging.disable()
    accepted = {row.sample for row in corpus.rows() if row.is_accepted}
    formats = {row.sample: row.format for row in corpus.rows()}
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    names: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    with tempfile.TemporaryDirectory() as folder:
        for name in corpus.NAMES:
            file = corpus.path_of(name, Path(folder))
            if file is None:
                continue
            counts["ours"][truth_of(name), name in accepted] += 1
            for peer, ask in PEERS.items():
                opinion = ask(file)
                counts[peer][truth_of(name), opinion.is_accepted] += 1
                names[formats[name]][peer][opinion.format] += 1
            names[formats[name]]["libmagic"][peers.libmagic(file).format] += 1
    print("| | ours | oslo.utils | qemu-img |\n| --- | --- | --- | --- |")
    for truth, is_accepted, words in (
        (HONEST, True, "honest images accepted"),
        (HONEST, False, "**honest images refused**"),
        (UNSAFE, False, "unsafe images refused"),
        (UNSAFE, True, "**unsafe images accepted**"),
        (NO_IMAGE, False, "what is no image refused"),
        (NO_IMAGE, True, "**what is no image accepted**"),
    ):
        print(f"| {words} |", " | ".join(str(counts[who][truth, is_accepted]) for who in counts), "|")
    print("\n| ours | oslo.utils | qemu-img | libmagic |\n| --- | --- | --- | --- |")
    for kind in sorted(names):
        listed = (", ".join(sorted(names[kind][who])) for who in ("oslo.utils", "qemu-img", "libmagic"))
        print(f"| {kind} |", " | ".join(listed), "|")


def rate(feed: Callable[[bytes], object], size: int) -> tuple[float, float]:
    """Return gigabytes per second and microseconds per chunk of this size."""
    chunk, fed = bytes(size), 0
    started = perf_counter()
    while perf_counter() - started < SECONDS:
        for _ in range(100):
            feed(chunk)
        fed += 100
    seconds = perf_counter() - started
    return fed * size / seconds / 1e9, seconds / fed * 1e6


class Source:
    """A stream that never ends, for oslo.utils' wrapper."""

    def __init__(self, head: bytes) -> None:
        self.chunk = head

    def read(self, _: int) -> bytes:
        """Return the same chunk."""
        return self.chunk


def print_speed() -> None:
    """Print what a chunk costs, once the head is judged, and what the head costs."""
    logging.disable()
    heads = {"raw": build.gpt(), "qcow2": build.qcow2(), "iso": build.iso(blocks=512)}
    print("| stream | chunk | ours GB/s | us/chunk | oslo.utils GB/s | us/chunk | kept |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, head in heads.items():
        for size in CHUNKS:
            guard = corpus.new_guard()
            guard.feed(head)
            ours = rate(guard.feed, size)
            source = Source(head)
            wrapper = format_inspector.InspectWrapper(source)  # type: ignore[arg-type] # it only reads
            wrapper.read(0)
            source.chunk = bytes(size)
            theirs = rate(wrapper.read, size)
            print(
                f"| {name} | {size:,} | {ours[0]:.1f} | {ours[1]:.2f} | {theirs[0]:.1f} | {theirs[1]:.2f} "
                f"| {guard.retained_bytes:,} |"
            )
    for name, make in corpus.VALID.items():
        image = make()
        started = perf_counter()
        corpus.inspected(image)
        print(f"{name}: {(perf_counter() - started) * 1e3:.2f} ms for all of its {len(image):,} bytes")


def print_worst() -> None:
    """Print what the most laborious streams cost for each byte, and what a thread spends on them at once."""
    print("| stream | bytes | ns a byte | in the loop, longest | other thread, longest slice | verdict |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, make in WORST.items():
        stream = make()
        seconds, loop, slices, verdict = min(cost_of(stream) for _ in range(5))
        print(
            f"| {name} | {len(stream):,} | {seconds / len(stream) * 1e9:.1f} | {loop * 1e3:.2f} ms "
            f"| {slices * 1e3:.1f} ms | {verdict} |"
        )


def cost_of(stream: bytes) -> tuple[float, float, float, str]:
    """Return seconds in all, the longest call in the loop and in the other thread, and what came of it."""
    guard = corpus.new_guard("raw/compressed" if stream[:4] in ZSTD_AND_LZ4 else "-")
    inloop, slices = [0.0], [0.0]
    verdict = "accepted"
    try:
        for chunk in corpus.cut(stream, 262_144):
            is_done = timed(lambda chunk=chunk: guard.skim(chunk), inloop)
            while not is_done:
                is_done = timed(guard.go_on, slices)
        timed(guard.finish, slices)
    except Failure as refusal:
        verdict = str(refusal.fields().get("rule") or refusal.code)
    return sum(inloop) + sum(slices), max(inloop), max(slices), verdict


def timed(call: Callable[[], Result], spent: list[float]) -> Result:
    """Call something and note how long that took."""
    began = thread_time()  # Of the processor, so that a busy machine says the same.
    try:
        return call()
    finally:
        spent.append(thread_time() - began)


def main() -> None:
    """Do what was asked for."""
    asked = sys.argv[1] if len(sys.argv) > 1 else ""
    jobs = {
        "table": print_table,
        "speed": print_speed,
        "worst": print_worst,
        "docs": documentation.write,
        "manifest": write_manifest,
    }
    if asked not in jobs:
        sys.exit(__doc__)
    jobs[asked]()


if __name__ == "__main__":
    main()
