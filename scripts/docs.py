"""Write the documentation pages that are made from the code: errors, configuration and command line."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from fetcher.api.submit.discovery import describe  # noqa: E402 - the path to the project comes first
from fetcher.cli.manual import manual_page  # noqa: E402 - likewise
from fetcher.cli.reference import reference_page  # noqa: E402 - likewise
from fetcher.config import Current, load_settings  # noqa: E402 - likewise
from fetcher.errors import table  # noqa: E402 - likewise
from fetcher.lifecycle import diagram  # noqa: E402 - likewise


def errors_page() -> str:
    """Every code, what it means and what to do."""
    lines = [
        *("---", "search:", "  boost: 4", "---", ""),  # Who looks for a code is led here.
        "# Errors",
        "",
        "Made from `fetcher/errors/` by `python scripts/docs.py`. Codes never change their meaning.",
        "",
    ]
    for code, kind in table().items():
        row = describe(kind)
        lines += [f"## {code}", "", f"{row['title']}", ""]
        if row["public_code"] != code:
            lines += [f"Submitters get `{row['public_code']}`; the log has the truth.", ""]
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


TROUBLE_HEAD = """# Solve a problem

Made from `fetcher/errors/` by `python scripts/docs.py`.

Whatever goes wrong has a **code** such as `checksum-mismatch`. It is shown

* on the page, beside the import's state, and by `fetcher show ID`;
* in the API, as `verdict.code` of an import and as `code` of an error; the Image API v2 calls it `type`;
* in the service's log, as `code`; there an operator also finds what outsiders do not get.

Find the code below. Each leads to its facts and to advice for particular cases; `GET /errors/CODE` says the
same.

## Without a code

* **An import stays queued.** Others are first: `GET /limits` tells how many run at once, for all and for one
  project, and `GET /readyz` whether the service takes imports at all.
* **The command line says that no server answers.** `fetcher doctor`, on the service's host, looks for the
  reason; `--server` or `FETCHER_SERVER` names another place.
* **The service does not start.** `fetcher config check` lists every mistake of the configuration at once.
* **A source that a browser reaches is `source-unreachable`.** Its address may be one that the service does
  not fetch from. Outsiders get the same answer for both; the log has the truth.
* **An image does not boot.** `fetcher inspect FILE` says what it is, `fetcher verify-boot FILE` whether its
  own boot code runs.

"""


def troubleshooting_page() -> str:
    """Every code in a table, by who can do something about it."""
    from fetcher import errors

    rooms: list[tuple[str, str, type]] = [
        ("The submission or the bytes are refused", "Trying again changes nothing.", errors.Rejection),
        ("The source lets the import down", "Trying again may help.", errors.SourceFailure),
        ("The service cannot do it now", "The submission may be fine.", errors.ServiceFailure),
        ("A request cannot be carried out", "No import ends by it.", errors.RequestRefused),
        ("It was ended on purpose", "Nothing is wrong.", errors.Failure),
    ]
    lines, left = [TROUBLE_HEAD], dict(table())
    for title, words, family in rooms:
        lines += [
            f"## {title}",
            "",
            words,
            "",
            "| code | what it means | what to do |",
            "| --- | --- | --- |",
        ]
        for code, kind in table().items():
            if issubclass(kind, family) and left.pop(code, None):
                row = describe(kind)
                lines.append(f"| [`{code}`](errors.md#{code}) | {row['title']} | {row['advice']} |")
        lines.append("")
    assert not left, left
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


API_HEAD = """# API reference

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
change, `end` with the last one. With `notify_url` a receiver is notified of the end ([notify.md](notify.md)).

## A generated client

Generators of clients take the document as it is. With openapi-python-client, this configuration lets a
patch be sent under the Image API's own media type:

```yaml
content_type_overrides:
  application/openstack-images-v2.1-json-patch: application/json
```

`tests/api/test_client.py` generates such a client, and submits, follows and renames an image with it.
"""


def api_page() -> str:
    """Every operation, and the fields of a submission and of an import."""
    from fetcher.api.app import build_app
    from fetcher.api.openapi.document import api_document

    settings = load_settings()
    document = api_document(build_app(Current(settings), None).routes, "http://127.0.0.1:9292", settings)
    lines = [API_HEAD]
    for tag in document["tags"]:
        lines += [f"## {tag['name']}", "", tag["description"], ""]
        lines += ["| operation | what it does | answers |", "| --- | --- | --- |"]
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                if tag["name"] in operation["tags"]:
                    answers = ", ".join(operation["responses"])
                    said = f"**{operation['summary']}.** {operation['description']}"
                    lines.append(f"| `{method.upper()} {path}` | {said} | {answers} |")
        lines.append("")
    submit, answered = (document["paths"]["/imports"]["post"][key] for key in ("requestBody", "responses"))
    lines += ["## An example", "", "`POST /imports` takes", ""]
    lines += [
        "```json",
        dumped(submit["content"]["application/json"]["example"]),
        "```",
        "",
        "and answers 202 with",
        "",
    ]
    lines += ["```json", dumped(answered["202"]["content"]["application/json"]["example"]), "```", ""]
    for title, name in (("What a submission holds", "SubmitBody"), ("What an import holds", "ImportAnswer")):
        lines += [f"## {title}", "", "| field | type | what it is |", "| --- | --- | --- |"]
        for field, schema in document["components"]["schemas"][name]["properties"].items():
            lines.append(f"| `{field}` | {type_words(schema)} | {schema['description']} |")
        lines.append("")
    return "\n".join(lines)


def type_words(schema: dict[str, Any]) -> str:
    """Return the type of a field in a word or two."""
    kind = next(one for one in schema.get("anyOf", [schema]) if one.get("type") != "null")
    if "enum" in kind:
        return ", ".join(kind["enum"])
    return str(kind.get("type") or kind["$ref"].rpartition("/")[2])


def dumped(value: Any) -> str:
    """Return an example as a reader wants it."""
    return json.dumps(value, indent=2, ensure_ascii=False)


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
    "troubleshooting.md": troubleshooting_page,
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
