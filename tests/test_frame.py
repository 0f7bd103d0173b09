"""The frame: what must hold of the repository itself."""

import ast
import re
import subprocess
import tomllib
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAX_LINES = 400
MAX_FUNCTION_LINES = 51
MAX_FILES = 16  # Of one folder, beside what only names it.
# Helpers that assert: a status that is wanted, an invariant that is checked.
ASSERTING = re.compile(r"want|assert_\w+|check\w*|raises|fail")


def tracked() -> list[str]:
    with suppress(FileNotFoundError, subprocess.CalledProcessError):  # Without git, or no checkout of it.
        done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
        return [name for name in done.stdout.splitlines() if (ROOT / name).is_file()]
    made = re.compile(r"(^|/)(\.|__pycache__|data/|build/|dist/)|\.egg-info/")
    names = [str(path.relative_to(ROOT)) for path in ROOT.rglob("*") if path.is_file()]
    return [name for name in names if not made.search(name)]


def functions(name: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse((ROOT / name).read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def asserts(test: ast.AST) -> bool:
    for node in ast.walk(test):
        called = node.func if isinstance(node, ast.Call) else None
        name = getattr(called, "attr", None) or getattr(called, "id", "")
        if isinstance(node, ast.Assert) or ASSERTING.fullmatch(name):
            return True
    return False


@pytest.mark.parametrize("name", sorted(path.name for path in ROOT.glob("requirements*.lock")))
def test_locks_are_pinned_hashed_and_name_no_address(name: str) -> None:
    """What is installed is what was checked, from wherever the machine gets its packages."""
    text = (ROOT / name).read_text()
    assert "://" not in text
    requirements = re.split(r"\n(?=\S)", text.strip())
    assert requirements
    for requirement in requirements:
        assert re.match(r"[A-Za-z0-9_.\[\],-]+==[^ ;\\]+", requirement), requirement
        assert "--hash=sha256:" in requirement, requirement


def test_locks_hold_what_the_project_asks_for() -> None:
    """A dependency that was added without `make lock` is noticed here, not on a fresh machine."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    asked = {
        "requirements.lock": project["project"]["dependencies"] + project["dependency-groups"]["build"],
        "requirements-build.lock": project["dependency-groups"]["build"],
        "requirements-dev.lock": project["dependency-groups"]["dev"],
        **{
            f"requirements-{extra}.lock": requirements
            for extra, requirements in project["project"]["optional-dependencies"].items()
        },
    }
    for name, requirements in asked.items():
        pinned = set(re.findall(r"^([a-z0-9.-]+)(?:\[[^\]]*\])?==", (ROOT / name).read_text(), re.MULTILINE))
        for requirement in requirements:
            plain = re.split(r"[\[<>=!; ]", requirement)[0].lower().replace("_", "-")
            assert plain in pinned or plain.replace(".", "-") in pinned, f"{name}: {requirement}"


def test_no_room_is_too_large() -> None:
    """A file that has grown past its size is two rooms."""
    long = {
        name: lines
        for name in tracked()
        if name.startswith("fetcher/") and name.endswith(".py")
        for lines in [len((ROOT / name).read_text().splitlines())]
        if lines > MAX_LINES
    }
    assert long == {}


def test_no_room_is_crowded() -> None:
    """A folder that has grown past what one sees at once is several rooms."""
    counts = Counter(
        str(Path(name).parent)
        for name in tracked()
        if name.startswith("fetcher/") and name.endswith(".py") and not name.endswith("__init__.py")
    )
    assert {folder: count for folder, count in counts.items() if count > MAX_FILES} == {}


def test_every_room_is_on_the_map() -> None:
    """Whoever looks for where something goes finds each room, and each file between, in ARCHITECTURE.md."""
    text = (ROOT / "ARCHITECTURE.md").read_text()
    missing = [
        str(path.relative_to(ROOT))
        for folder, names in (("fetcher", ("fetcher/{}",)), ("fetcher/importer", ("`{}", "importer/{}")))
        for path in sorted((ROOT / folder).iterdir())
        if path.stem.strip("_") == path.stem and (path.is_dir() or path.suffix == ".py")
        if not any(name.format(path.stem) in text for name in names)
    ]
    assert missing == []


def test_the_map_fits_on_two_pages() -> None:
    """ARCHITECTURE.md is read to its end; what is finer stands in docs/internals.md."""
    text = (ROOT / "ARCHITECTURE.md").read_text()
    assert len(text.splitlines()) <= 125
    assert len(text.split()) <= 1500


# Of the whole service, of the repository, or of several rooms at once; all else is in the room that it tests.
AT_LARGE = set(
    """background changelog commands crash_points demo deploy deploy_containers docs frame fuzz_gate loop_free
    machine main_job many needs resilience_page security_page server setup shortages site torture tutorial
    undisturbed upheaval""".split()  # noqa: SIM905 - a list of words
)


def test_tests_stand_in_the_room_that_they_test() -> None:
    """A test file beside the rooms is of a file beside the rooms, or of the whole."""
    files = {path.stem.removeprefix("test_") for path in (ROOT / "tests").glob("test_*.py")}
    named = {path.stem for path in (ROOT / "fetcher").iterdir()}
    assert files - named == AT_LARGE
    rooms = {path.name for path in (ROOT / "tests").iterdir() if (path / "__init__.py").exists()}
    of_several = {"adopt", "attacks", "contract", "devstack", "lab", "page", "several", "torture_hosts"}
    assert rooms - named == of_several


def test_no_function_is_too_long() -> None:
    """A function that cannot be seen at once does two things."""
    long = {
        f"{name}:{function.name}": lines
        for name in tracked()
        if name.endswith(".py") and not name.startswith("tests/")
        for function in functions(name)
        if (lines := (function.end_lineno or 0) - function.lineno + 1) > MAX_FUNCTION_LINES
    }
    assert long == {}


def test_every_test_asserts_something() -> None:
    """A test that only runs code shows nothing to its reader, and hardly ever fails."""
    blind = [
        f"{name}:{function.lineno} {function.name}"
        for name in tracked()
        if name.startswith("tests/") and name.endswith(".py")
        for function in functions(name)
        if function.name.startswith("test_") and not asserts(function)
    ]
    assert blind == []


def test_what_a_check_is_told_to_pass_over_has_a_reason() -> None:
    """`# noqa: X - why` and `# type: ignore[x] # why`: who reads the line learns what its writer knew."""
    said = re.compile(r"# noqa: [A-Z]+\d+(, [A-Z]+\d+)* [-#] \S|# type: ignore\[[a-z, -]+\] +[-#] \S")
    silenced = re.compile(r"#\s*(noqa\b|type:\s*ignore)[^\"`]*$")
    bare = [
        f"{name}:{number} {found[0]}"
        for name in tracked()
        if name.endswith(".py")
        for number, line in enumerate((ROOT / name).read_text().splitlines(), 1)
        if (found := silenced.search(line)) and not said.match(found[0])
    ]
    assert bare == []


def test_nothing_is_tied_to_one_machine() -> None:
    """No path of one machine and no host of a package registry is in any file."""
    pattern = re.compile(
        r"pypi\.org|pythonhosted|registry\.npmjs|deb\.debian\.org|/root/|/work/(main|wt|shared)"
    )
    for name in tracked():
        path = ROOT / name
        if path == Path(__file__) or path.suffix in {".png", ".ico", ".woff2"}:
            continue
        found = pattern.search(path.read_text(errors="replace"))
        assert found is None, f"{name}: {found and found[0]}"


def test_docstrings_begin_with_a_verb_or_a_noun() -> None:
    """`Return whether ...` for a call, `The size of ...` for a thing: as the field writes it (PEP 257)."""
    riddle = re.compile(r"\s*\"\"\"(What|How|Whether|Where|Which|Who|Whose|Why|When) ")
    found = [
        f"{path.relative_to(ROOT)}:{number} {line.strip()}"
        for path in sorted((ROOT / "fetcher").rglob("*.py"))
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if riddle.match(line)
    ]
    assert found == []
