"""Write the documentation pages that are made from the code: errors, configuration and command line."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from fetcher.api.discovery import describe  # noqa: E402
from fetcher.cli.reference import reference_page  # noqa: E402
from fetcher.errors import table  # noqa: E402


def errors_page() -> str:
    """Every code, what it means and what to do."""
    lines = [
        "# Errors",
        "",
        "Made from `fetcher/errors.py` by `python scripts/docs.py`. Codes never change their meaning.",
        "",
    ]
    for code, kind in table().items():
        row = describe(kind)
        lines += [f"## {code}", "", f"{row['title']}", ""]
        if row["told_as"] != code:
            lines += [f"Submitters are told `{row['told_as']}`; the log has the truth.", ""]
        fields = ", ".join(f"`{name}`" for name in row["fields"]) or "none"
        lines += [
            f"* What to do: {row['advice']}",
            f"* Ends {row['ends']}; HTTP status {row['status']} when it answers a request.",
        ]
        lines += [f"* Fields: {fields}.", ""]
    return "\n".join(lines)


def configuration_page() -> str:
    """Every key of config.toml with its value and its reason."""
    lines = ["# Configuration", "", "Made from `config.toml` by `python scripts/docs.py`.", ""]
    for line in (ROOT / "config.toml").read_text().splitlines():
        if section := re.match(r"\[(\w+)\]\s*# (.*)", line):
            lines += [
                "",
                f"## [{section[1]}]",
                "",
                section[2],
                "",
                "| key | value | why |",
                "| --- | --- | --- |",
            ]
        elif key := re.match(r"(\w+) = (.*?)\s+# (.*)", line):
            value = key[2].strip().replace("|", "\\|")
            lines.append(f"| `{key[1]}` | `{value}` | {key[3]} |")
    return "\n".join(lines) + "\n"


PAGES = {"errors.md": errors_page, "configuration.md": configuration_page, "cli.md": reference_page}

if __name__ == "__main__":
    (ROOT / "docs").mkdir(exist_ok=True)
    for name, page in PAGES.items():
        (ROOT / "docs" / name).write_text(page())
