"""`python -m bench run [CASES]`: measure, print the table, write the JSON."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from bench import case_api, case_download, case_many, case_pull
from bench.figures import Report, Row
from bench.lab import Lab, Missing, laboratory

CASES: dict[str, Callable[[Lab], list[Row]]] = {
    "pull": case_pull.measure,
    "many": case_many.fast,
    "slow": case_many.slow,
    "index": case_api.index,
    "submits": case_api.submits,
    "download": case_download.measure,
}


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
    run.add_argument("--json", type=Path, default=Path("bench/results.json"), help="where the figures go")
    options = parser.parse_args()
    unknown = set(options.cases) - set(CASES)
    if unknown:
        parser.error(f"no case is named {', '.join(sorted(unknown))}")
    report = Report()
    with laboratory(options.rounds, options.size_mib) as lab:
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
