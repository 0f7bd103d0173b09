"""conformance_report.py RESULTS PEERS: what passed of what passes on the reference; 0 when that is all."""

import re
import sys
from pathlib import Path


def verdicts(path: Path) -> dict[str, str]:
    """The verdict of each test of a run, by its name without ids."""
    found = {}
    for line in path.read_text().splitlines() if path.exists() else []:
        verdict, _seconds, name, *_ = [*line.split("\t"), "", ""]
        found[name.partition("[")[0]] = verdict
    return found


def wanted(table: Path) -> tuple[set[str], set[str]]:
    """What passes on the reference with one plain store; and what is required."""
    plain, required = set(), set()
    for line in table.read_text().splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) < 6 or cells[3] != "success":
            continue
        name = f"tempest.api.image.v2.{cells[1]}"
        plain.add(name)
        if cells[2] == "yes":
            required.add(name)
    return plain, required


def report(what: str, names: set[str], got: dict[str, str]) -> bool:
    """Say how many of these passed, and name the others."""
    passed = {name for name in names if got.get(name) == "success"}
    print(f"{what}: {len(passed)} of {len(names)}")
    for name in sorted(names - passed):
        print(f"  {got.get(name, 'did not run'):12} {name}")
    return passed == names


def main() -> int:
    """Compare all runs with the baseline."""
    results, peers = Path(sys.argv[1]), Path(sys.argv[2])
    plain, required = wanted(peers / "baseline" / "tempest-table.md")
    is_good = report("Interoperability guideline", required, verdicts(results / "interop" / "tempest.tsv"))
    is_good &= report(
        "Tempest, tests that pass on the reference", plain, verdicts(results / "tempest" / "tempest.tsv")
    )
    log = results / "smoke.log"
    steps = re.findall(
        r"^(PASS|FAIL|OPT-FAIL|SKIP)\s+[\d.]+s\s+(.*)$", log.read_text() if log.exists() else "", re.MULTILINE
    )
    passed = [name for verdict, name in steps if verdict == "PASS"]
    print(f"Steps of the real clients: {len(passed)} of {len(steps)}")
    for verdict, name in steps:
        if verdict != "PASS":
            print(f"  {verdict:12} {name}")
    is_good &= report_glance(results / "glance.log")
    return 0 if is_good and steps and len(passed) == len(steps) else 1


def report_glance(log: Path) -> bool:
    """Say how many tests passed beside a real Glance and Keystone, and name the others."""
    found = re.findall(
        r"^(PASSED|FAILED|ERROR|SKIPPED) (\S.*)$", log.read_text() if log.exists() else "", re.MULTILINE
    )
    passed = [name for verdict, name in found if verdict == "PASSED"]
    print(f"Beside a real Glance: {len(passed)} of {len(found)}")
    for verdict, name in found:
        if verdict != "PASSED":
            print(f"  {verdict:12} {name}")
    return bool(found) and len(passed) == len(found)


if __name__ == "__main__":
    sys.exit(main())
