"""The made parts of docs/formats.md: what each format's file says of itself, every rule, every decision."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import fetcher.guards.stream.formats
import fetcher.parsers.archives
from tests.guards.stream.formats.peers import DECISIONS
from tests.guards.stream.formats.truth import KNOWN

ROOM = Path(fetcher.guards.stream.formats.__file__).parent
PAGE = ROOM.parent.parent.parent.parent / "docs" / "formats.md"
HEADINGS = ("Specification", "Reads", "Structure", "Safety")
PARSERS = Path(fetcher.parsers.archives.__file__).parent
CALLS = ("broke", "require", "Finding", "FormatUnsafe")
RULE = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)+")


def described() -> dict[str, dict[str, str]]:
    """Return what the docstring of each format's file says under each heading, by the file's title."""
    found = {}
    for file in sorted(ROOM.rglob("*.py"), key=lambda path: path.name):
        text = ast.get_docstring(ast.parse(file.read_text("utf-8"))) or ""
        if "Specification:" in text and "Reads:" in text:
            title, _, rest = text.partition("\n\n")
            parts = re.split(
                r"^(Specification|Reads|Structure, safety|Structure|Safety): ", rest, flags=re.MULTILINE
            )
            pairs = zip(parts[1::2], parts[2::2], strict=True)
            found[f"{file.stem}: {title}"] = {key: " ".join(value.split()) for key, value in pairs}
    return found


def rules() -> dict[str, set[str]]:
    """Return every rule that is broken somewhere in the code, with the reasons that it is told with."""
    found: dict[str, set[str]] = {}
    for file in sorted(ROOM.rglob("*.py"), key=lambda path: path.name):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or _name_of(node.func) not in CALLS:
                continue
            texts = [*node.args, *(word.value for word in node.keywords)]
            for at, argument in enumerate(texts[:-1]):
                if isinstance(argument, ast.Constant) and _is_rule(argument.value):
                    found.setdefault(str(argument.value), set()).add(_words(texts[at + 1]))
    for rule, reason in _of_papers():
        found.setdefault(rule, set()).add(reason)
    return found


def _of_papers() -> Iterator[tuple[str, str]]:
    """Yield the rules of an appliance's descriptor and manifest, which its parsers raise."""
    for file in ("ovf.py", "manifest.py"):
        for node in ast.walk(ast.parse((PARSERS / file).read_text("utf-8"))):
            name = _name_of(node.func) if isinstance(node, ast.Call) else ""
            if name == "BrokenDescriptor":
                rule, reason = node.args
                yield f"ova-{ast.literal_eval(rule)}", _words(reason)
            elif name == "BrokenManifest":
                yield "ova-manifest", _words(node.args[0])


def _name_of(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _is_rule(value: object) -> bool:
    return isinstance(value, str) and RULE.fullmatch(value) is not None


def _words(node: ast.expr) -> str:
    """Return a reason as it is written, with dots for what is filled in."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "..." for part in node.values)
    return "..."


def made_parts() -> dict[str, str]:
    """Return the made parts of the page, by their marks."""
    formats = []
    for title, parts in described().items():
        formats.append(f"### {title}\n")
        formats += [f"- {heading}: {text}" for heading, text in parts.items()]
        formats.append("")
    rows = [f"| `{rule}` | {'; '.join(sorted(reasons))} |" for rule, reasons in sorted(rules().items())]
    decisions = [
        f"| {decision.peer} | {'accept' if decision.we_accept else 'refuse'} | "
        f"{', '.join(sorted(decision.formats))} | {decision.why} |"
        for decision in DECISIONS
    ]
    return {
        "formats": "\n".join(formats).strip(),
        "rules": "\n".join(["| rule | shown as |", "| --- | --- |", *rows]),
        "decisions": "\n".join(
            ["| peer | we | samples that are | why |", "| --- | --- | --- | --- |", *decisions]
        ),
        "known": "\n".join(f"- {why} (`{name}` in the corpus)" for name, why in KNOWN.items()),
    }


def rewritten(page: str) -> str:
    """Return the page with its made parts as the code has them now."""
    for mark, text in made_parts().items():
        begin, end = f"<!-- made: {mark} -->", "<!-- end -->"
        before, _, rest = page.partition(begin)
        page = f"{before}{begin}\n{text}\n{end}{rest.partition(end)[2]}"
    return page


def write() -> None:
    """Write the page anew."""
    PAGE.write_text(rewritten(PAGE.read_text("utf-8")), "utf-8")
