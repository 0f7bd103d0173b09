"""`python -m fuzz [NAME] [SECONDS]`: fuzz one harness for a while, or each, and tell how fast.

With atheris installed the search is guided by coverage; without it, inputs
are random changes to those of the corpus. What breaks the invariant is kept
in the working directory as `crash-...`.
"""

import hashlib
import importlib
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

HARNESSES = ("url", "address", "response", "sums", "dns", "http")
CORPUS = Path(__file__).parent / "corpus"


def main(arguments: list[str]) -> int:
    """Run what was asked for; the answer is the exit code."""
    if not arguments or arguments[0].isdigit():
        runs = [[sys.executable, "-m", "fuzz", name, *arguments] for name in HARNESSES]
        return max(subprocess.run(run, check=False).returncode for run in runs)
    name, seconds = arguments[0], float(arguments[1]) if len(arguments) > 1 else 60.0
    try:
        import atheris
    except ImportError:
        return run_blind(name, seconds)
    return run_guided(atheris, name, seconds)


def run_guided(atheris: object, name: str, seconds: float) -> int:
    """Let atheris search; it ends the process itself."""
    with atheris.instrument_imports(include=instrumented(name)):  # type: ignore[attr-defined] # optional
        check = importlib.import_module(f"fuzz.{name}").check
    grown = tempfile.mkdtemp(prefix=f"fuzz-{name}-")
    options = [f"-max_total_time={seconds:g}", "-max_len=400", "-print_final_stats=1", "-verbosity=0"]
    atheris.Setup([name, *options, grown, str(CORPUS / name)], check)  # type: ignore[attr-defined]
    atheris.Fuzz()  # type: ignore[attr-defined]
    return 0


def run_blind(name: str, seconds: float) -> int:
    """Change inputs of the corpus at random."""
    check: Callable[[bytes], None] = importlib.import_module(f"fuzz.{name}").check
    seeds = [path.read_bytes() for path in sorted((CORPUS / name).iterdir())]
    chance = random.Random(name)
    began, count = time.monotonic(), 0
    while time.monotonic() - began < seconds:
        seed = change(chance.choice(seeds), chance)
        try:
            check(seed)
        except BaseException:
            Path(f"crash-{name}-{hashlib.sha256(seed).hexdigest()[:16]}").write_bytes(seed)
            raise
        count += 1
    print(f"{name}: {count:,} inputs, {count / (time.monotonic() - began):,.0f} a second, no finding")
    return 0


def change(seed: bytes, chance: random.Random) -> bytes:
    """Change a few bytes, cut, repeat, or begin anew."""
    if chance.random() < 0.1:
        return chance.randbytes(chance.randrange(120))
    changed = bytearray(seed)
    for _ in range(chance.randrange(1, 8)):
        at = chance.randrange(len(changed) + 1)
        kind = chance.randrange(4)
        if kind == 0:
            changed[at : at + 1] = chance.randbytes(1)
        elif kind == 1:
            changed[at:at] = chance.randbytes(chance.randrange(1, 6))
        elif kind == 2:
            del changed[at : at + chance.randrange(1, 6)]
        else:
            changed[at:at] = changed[chance.randrange(len(changed) + 1) :][: chance.randrange(1, 12)]
    return bytes(changed[:400])


def instrumented(name: str) -> list[str]:
    """Read what a harness wants to be watched, without importing it first."""
    text = Path(__file__).with_name(f"{name}.py").read_text()
    line = next(line for line in text.splitlines() if line.startswith("INSTRUMENT"))
    return [part.strip(' "') for part in line.partition("[")[2].strip("]").split(",")]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
