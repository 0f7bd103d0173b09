"""Whatever the stream: no fault, one verdict for all chunkings, bounded memory, linear cost (see harness).

`python fuzz/formats/fuzz_inspector.py [FOLDER] [-max_total_time=60]`; the folder is seeded with one
input for each image that the harness builds on. Needs atheris.
"""

import sys
import tempfile
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

with atheris.instrument_imports(include=["fetcher.guards.stream.formats"]):
    import fetcher.guards.stream.formats  # noqa: F401 # instrumented before the harness imports it

from fuzz.formats.harness import BASES, PATCH, check_stream, stream_of  # after the instrumentation


def test_one_input(seed: bytes) -> None:
    """Check one input."""
    check_stream(stream_of(seed), size=1 + 13 * len(seed) % 65_536)


def main() -> None:
    """Seed the corpus and fuzz until stopped."""
    folders = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    folder = Path(folders[0] if folders else tempfile.mkdtemp(prefix="fuzz-formats-"))
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(len(BASES)):
        for place in (0, 8, 40, 1_024, 1_025):
            (folder / f"seed-{number}-{place}").write_bytes(
                bytes([number]) + PATCH.pack(place, 4) + b"\0\0\1\0"
            )
    options = ["-len_control=0", "-max_len=256"]
    options += [argument for argument in sys.argv[1:] if argument.startswith("-")]
    atheris.Setup([sys.argv[0], *options, str(folder)], test_one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
