"""Write the documentation pages that are made from the code: errors, configuration and command line."""

import re
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from fetcher.api.submit.discovery import describe  # noqa: E402
from fetcher.cli.manual import manual_page  # noqa: E402
from fetcher.cli.reference import reference_page  # noqa: E402
from fetcher.config import load_settings  # noqa: E402
from fetcher.errors import table  # noqa: E402
from fetcher.lifecycle import diagram  # noqa: E402


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
        if code.startswith("checksum-"):
            lines += ["Which checksum files are read, and how: [checksum-files.md](checksum-files.md).", ""]
        if row["advice_by_case"]:
            lines += ["| case | what to do |", "| --- | --- |"]
            for case in row["advice_by_case"]:
                said = case["case"].replace("|", " / ")
                lines.append(f"| {said} | {case['advice']} |")
            lines.append("")
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


API_HEAD = """# The API

Made from the routes and types by `python scripts/docs.py`. The same as OpenAPI 3.1: `GET /openapi.json`;
rendered: `/page/api`. No particular client is needed:

```sh
curl -i 127.0.0.1:9292/imports -H 'Content-Type: application/json' -d '{"url": "https://example.org/disk.qcow2"}'
```

Where tokens are used, send `X-Auth-Token: TOKEN` or `Authorization: Bearer TOKEN`. Errors are problem details
(RFC 9457) with a stable `code` ([errors.md](errors.md)), what to do (`advice`) and the facts as fields; those
of the Image API v2 have the form that its clients know. Every answer has `X-OpenStack-Request-ID`, which is
also in the log.

`GET /imports/{id}/events` is a stream of server-sent events: `progress` with the import's document at every
change, `end` with the last one. With `notify_url` a receiver is told of the end ([notify.md](notify.md)).
"""


def api_page() -> str:
    """Every operation, and the fields of a submission."""
    from fetcher.api.app import build_app
    from fetcher.api.openapi.document import api_document

    settings = load_settings()
    document = api_document(build_app(lambda: settings, None).routes, "", settings)
    lines = [API_HEAD]
    by_tag: dict[str, list[str]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            answers = ", ".join(operation["responses"])
            row = f"| `{method.upper()} {path}` | {operation['summary']} | {answers} |"
            by_tag.setdefault(operation["tags"][0], []).append(row)
    for tag, rows in by_tag.items():
        lines += [f"## {tag}", "", "| operation | what it does | answers |", "| --- | --- | --- |", *rows, ""]
    lines += ["## What a submission holds", "", "| field | type |", "| --- | --- |"]
    for name, schema in document["components"]["schemas"]["SubmitBody"]["properties"].items():
        kind = next(one for one in schema.get("anyOf", [schema]) if one.get("type") != "null")
        if "$ref" in kind:
            parts = document["components"]["schemas"][kind["$ref"].rpartition("/")[2]]["properties"]
            words = "an object with " + ", ".join(f"`{part}`" for part in parts)
        else:
            words = ", ".join(kind["enum"]) if "enum" in kind else kind["type"]
        lines.append(f"| `{name}` | {words} |")
    return "\n".join(lines) + "\n"


def as_fetcher(page: Callable[[], str]) -> Callable[[], str]:
    """Have a page made as if `fetcher` ran: the command line's library uses the name it was started by."""

    def made() -> str:
        before = sys.argv
        sys.argv = ["fetcher"]
        try:
            return page()
        finally:
            sys.argv = before

    return made


PAGES = {
    "errors.md": errors_page,
    "configuration.md": configuration_page,
    "cli.md": as_fetcher(reference_page),
    "fetcher.1": as_fetcher(manual_page),
    "api.md": api_page,
}

STATES = re.compile(
    r"(<!-- states: made from fetcher/lifecycle.py -->\n).*?(<!-- end of states -->)", re.DOTALL
)


def with_states(text: str) -> str:
    """Return ARCHITECTURE.md with the diagram of an import's states as the table has it now."""
    return STATES.sub(lambda found: f"{found[1]}```mermaid\n{diagram()}```\n{found[2]}", text)


if __name__ == "__main__":
    architecture = ROOT / "ARCHITECTURE.md"
    architecture.write_text(with_states(architecture.read_text()))
    (ROOT / "docs").mkdir(exist_ok=True)
    for name, page in PAGES.items():
        (ROOT / "docs" / name).write_text(page())
