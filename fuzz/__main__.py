"""`python -m fuzz [NAME] [SECONDS] [--seed N] [--grown FOLDER]`: fuzz one harness, or all, and tell how fast.

With atheris installed the search is guided by coverage, and what it finds new
stays in the folder for the next run; without it, inputs are random changes to
those of the corpus. A search is another one each time unless its seed is
given. What breaks the invariant is kept in the working directory as
`crash-...`.
"""

import argparse
import hashlib
import importlib
import random
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

HARNESSES = ("url", "address", "response", "sums", "catalogue", "http", "unpack")
CORPUS = Path(__file__).parent / "corpus"


def main(arguments: list[str]) -> int:
    """Run what was asked for; the answer is the exit code."""
    if not arguments or arguments[0] not in HARNESSES:
        runs = [[sys.executable, "-m", "fuzz", name, *arguments] for name in HARNESSES]
        return max(subprocess.run(run, check=False).returncode for run in runs)
    parser = argparse.ArgumentParser(prog="python -m fuzz")
    parser.add_argument("name", choices=HARNESSES)
    parser.add_argument("seconds", type=float, nargs="?", default=60.0)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**31 - 1) + 1)
    parser.add_argument("--grown", type=Path)
    asked = parser.parse_args(arguments)
    try:
        import atheris
    except ImportError:
        return run_blind(asked.name, asked.seconds, asked.seed)
    run_guided(atheris, asked)
    return 0


def run_guided(atheris: object, asked: argparse.Namespace) -> None:
    """Let atheris search; it ends the process itself."""
    name = asked.name
    with atheris.instrument_imports(include=instrumented(name)):  # type: ignore[attr-defined] # optional
        check = importlib.import_module(f"fuzz.{name}").check
    if asked.grown is None:
        grown = Path(tempfile.mkdtemp(prefix=f"fuzz-{name}-"))
    else:
        grown = asked.grown / name
        grown.mkdir(parents=True, exist_ok=True)
    print(f"{name}: guided, seed {asked.seed}, what is new goes to {grown}", flush=True)
    options = [f"-max_total_time={asked.seconds:g}", f"-seed={asked.seed}", "-max_len=400"]
    options += ["-print_final_stats=1", "-verbosity=0"]
    atheris.Setup([name, *options, str(grown), str(CORPUS / name)], check)  # type: ignore[attr-defined] # it has no types
    atheris.Fuzz()  # type: ignore[attr-defined] # likewise


def run_blind(name: str, seconds: float, seed: int) -> int:
    """Change inputs of the corpus at random."""
    check: Callable[[bytes], None] = importlib.import_module(f"fuzz.{name}").check
    seeds = [path.read_bytes() for path in sorted((CORPUS / name).iterdir())]
    chance = random.Random(seed)
    began, count = time.monotonic(), 0
    while time.monotonic() - began < seconds:
        tried = change(chance.choice(seeds), chance)
        try:
            check(tried)
        except BaseException:
            Path(f"crash-{name}-{hashlib.sha256(tried).hexdigest()[:16]}").write_bytes(tried)
            raise
        count += 1
    rate = count / (time.monotonic() - began)
    print(f"{name}: blind, seed {seed}: {count:,} inputs, {rate:,.0f} a second, no finding")
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
