"""Puts the figures of a run into `docs/performance.md`, between its marks, and draws the plots beside it."""

import json
from pathlib import Path
from typing import Any

from bench.plots import draw

PAGE = Path("docs/performance.md")


def publish(results: Path) -> list[Path]:
    """Write the tables and the plots; the files that were written."""
    rows = json.loads(results.read_text())["rows"]
    stages = [row for row in rows if row["name"].startswith(("stage: ", "all stages"))]
    others = [row for row in rows if row not in stages]
    page = PAGE.read_text()
    for mark, shown in (("table", others), ("stages", stages)):
        block = f"<!-- {mark} -->\n{_table(shown)}\n<!-- end of {mark} -->"
        before, _, rest = page.partition(f"<!-- {mark} -->")
        page = before + block + rest.partition(f"<!-- end of {mark} -->")[2]
    PAGE.write_text(page)
    return [PAGE, *draw(results, PAGE.parent)]


def _table(rows: list[dict[str, Any]]) -> str:
    lines = [
        "| what | median (least .. most) | ratio (least .. most) | compared with | target |",
        "| --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        value = f"{row['value']:.3g} {row['unit']} ({row['low']:.3g} .. {row['high']:.3g})"
        ratio = ""
        if row["ratio"] is not None:
            ratio = f"{row['ratio']:.3g} ({row['ratio_low']:.3g} .. {row['ratio_high']:.3g})"
        verdict = "" if row["met"] is None else (": met" if row["met"] else ": **missed**")
        name, versus = row["name"].replace("|", "\\|"), row["versus"].replace("|", "\\|")
        lines.append(f"| {name} | {value} | {ratio} | {versus} | {row['target']}{verdict} |")
    return "\n".join(lines)
