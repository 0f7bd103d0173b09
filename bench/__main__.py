"""Measure and print the table (`python -m bench run [CASES]`), or count (`python -m bench check`)."""

import argparse
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from bench import (
    case_api,
    case_boot,
    case_download,
    case_glance,
    case_held,
    case_inbound,
    case_many,
    case_pull,
    case_small,
    case_stages,
)
from bench.check import check, way
from bench.figures import Report, Row
from bench.lab.place import Lab, Missing, compile_sources, laboratory
from bench.profile import profile
from bench.publish import publish

CASES: dict[str, Callable[[Lab], list[Row]]] = {
    "pull": case_pull.measure,
    "many": case_many.fast,
    "many-small": case_small.many_small,
    "many-mid": case_small.many_mid,
    "queued": case_small.queued,
    "records": case_small.records,
    "downloads": case_small.downloads,
    "slow": case_many.slow,
    "held": case_held.measure,
    "inbound": case_inbound.measure,
    "index": case_api.index,
    "submits": case_api.submits,
    "packed": case_boot.packed,
    "converted": case_boot.converted,
    "download": case_download.measure,
    "stages": case_stages.measure,
    "glance": case_glance.measure,
}


# Leaf 7 of CPUID, bit 29 of EBX: SHA-1 and SHA-256 as instructions (OPENSSL_ia32cap(3)).
MASK_NAME, MASK = "OPENSSL_ia32cap", ":~0x20000000"


def without_sha_extensions() -> None:
    """Begin this command anew with an OpenSSL that sees no SHA extensions: it looks for them once."""
    if os.environ.get(MASK_NAME) != MASK:
        command = [sys.executable, "-m", "bench", *sys.argv[1:]]
        os.execve(sys.executable, command, {**os.environ, MASK_NAME: MASK})


def main() -> int:
    """Run what the command line names; the answer is the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="measure and print the table")
    run.add_argument(
        "cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}; all when none is named"
    )
    run.add_argument("--rounds", type=int, default=5, help="how often each contender gets its turn (5)")
    run.add_argument("--size-mib", type=int, default=1024, help="size of the big image (1024)")
    run.add_argument("--scale", type=float, default=1.0, help="part of the imports of a case of many (1)")
    run.add_argument(
        "--no-sha-extensions",
        action="store_true",
        help="as on a processor that has none (OpenSSL's digests; those of coreutils are its own)",
    )
    run.add_argument("--json", type=Path, default=Path("bench/results.json"), help="where the figures go")
    commands.add_parser("check", help="count what must not grow; the same on every machine")
    commands.add_parser("way", help="list which calls of one import go from one file to another")
    spy = commands.add_parser("profile", help="sample one pull with py-spy")
    spy.add_argument("scheme", nargs="?", choices=("http", "https"), default="http")
    page = commands.add_parser("publish", help="put the figures and plots of a run into docs/")
    page.add_argument("--json", type=Path, default=Path("bench/results.json"), help="where the figures are")
    options = parser.parse_args()
    if options.command == "check":
        return check()
    if options.command == "way":
        return way()
    if options.command == "publish":
        for path in publish(options.json):
            print(path)
        return 0
    if options.command == "profile":
        with laboratory(1, 1024) as lab:
            profile(lab, options.scheme)
        return 0
    return run_cases(options, parser)


def run_cases(options: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    """Measure what the command line names, and print the table."""
    if options.no_sha_extensions:
        without_sha_extensions()
    unknown = set(options.cases) - set(CASES)
    if unknown:
        parser.error(f"no case is named {', '.join(sorted(unknown))}")
    compile_sources()
    # So that servers and folders go when the run is ended from outside.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    report = Report()
    with laboratory(options.rounds, options.size_mib, options.scale) as lab:
        for name in options.cases or CASES:
            print(f"{name} ...", file=sys.stderr, flush=True)
            try:
                report.rows += CASES[name](lab)
            except Missing as reason:
                report.skipped.append(f"{name}: {reason}")
            report.write(options.json)
    print(report.table())
    return 0


if __name__ == "__main__":
    sys.exit(main())
