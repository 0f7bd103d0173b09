"""The list of guards is whole: nothing is published that does not run, nothing runs that is not listed."""

import ast
import dataclasses
import importlib
import inspect
import textwrap
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import get_type_hints

import msgspec
import pytest

import fetcher
from fetcher.config import Settings, load_settings
from fetcher.guards import GuardContext, Headroom, Purpose, published, registry
from fetcher.guards.request.url import CheckedUrls
from fetcher.guards.spec import GuardSpec
from fetcher.model import Submission
from tests.guards.seeing import sees_bytes
from tests.guards.toy import Toy

ROOT = Path(fetcher.__file__).parent
SETTINGS = load_settings()
SPECS = pytest.mark.parametrize("spec", registry.GUARDS, ids=lambda spec: spec.name)


def trees(*folders: Path) -> Iterator[tuple[Path, ast.Module]]:
    for folder in folders:
        for path in sorted(folder.rglob("*.py")):
            yield path, ast.parse(path.read_text())


def called_names(tree: ast.AST) -> set[str]:
    """Names of all that is called, or handed on to be called."""
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} | {
        node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)
    }


@cache
def called_outside() -> set[str]:
    """Names of all that is called outside of the guards; reading all modules takes seconds."""
    return set().union(
        *(called_names(tree) for path, tree in trees(ROOT) if not path.is_relative_to(ROOT / "guards"))
    )


def context(purpose: Purpose) -> GuardContext:
    return GuardContext(
        purpose=purpose,
        settings=SETTINGS,
        submission=Submission(url="https://example.org/x", max_bytes=1000),
        headroom=Headroom(quota_bytes=1000, used_bytes=0),
    )


def is_run(spec: GuardSpec) -> bool:
    """Whether every way in which a guard says that it acts is one that acts."""
    purposes = [purpose for purpose in Purpose if purpose not in spec.not_for]
    builds = spec.build is None or any(spec.build(context(purpose)) is not None for purpose in purposes)
    names = [check.__name__ for check in spec.checks] + list(spec.keys)
    return builds and all(name in called_outside() for name in names)


@SPECS
def test_what_is_published_has_a_guard_that_runs(spec: GuardSpec) -> None:
    """A limit is told only by a guard that is built for some purpose, asked, called or held to."""
    limits = spec.limits(SETTINGS)
    assert limits
    assert {limit.guard for limit in limits} == {spec.name}
    assert is_run(spec)


def test_a_guard_whose_check_nobody_calls_is_found_out() -> None:
    """The test above fails for a limit that is published and not enforced."""

    def check_that_nobody_calls() -> None: ...

    spec = dataclasses.replace(
        Toy().spec, build=None, check_submission=None, checks=(check_that_nobody_calls,)
    )
    assert not is_run(spec)
    assert not is_run(dataclasses.replace(Toy().spec, build=lambda _context: None))
    assert not is_run(dataclasses.replace(Toy().spec, keys=("max_of_what_nobody_reads",)))


@SPECS
@pytest.mark.parametrize("is_enforced", [True, False])
def test_a_guard_says_whether_it_acts(spec: GuardSpec, is_enforced: bool) -> None:
    """Provenance names the guards that judged the bytes, and builds none to find out."""
    rules = msgspec.structs.replace(SETTINGS.format, enforce_on_upload=is_enforced)
    settings = msgspec.structs.replace(SETTINGS, format=rules)
    for purpose in Purpose:
        for headroom in (None, Headroom(quota_bytes=1000, used_bytes=0)):
            given = dataclasses.replace(context(purpose), settings=settings, headroom=headroom)
            if spec.build is not None:
                acts = spec.acts is None or spec.acts(given)
                assert acts == (spec.build(given) is not None)


def test_a_guard_that_never_runs_cannot_be_declared() -> None:
    """A declaration of limits alone is refused where it stands."""
    with pytest.raises(ValueError, match="never runs"):
        GuardSpec(name="idle", title="Idle", sections=("size",), limits=Toy().spec.limits)


def test_a_guard_cannot_get_lost_over_a_crash() -> None:
    """What judges a pull judges the replay that the pull goes on from."""
    with pytest.raises(ValueError, match="replay"):
        dataclasses.replace(Toy().spec, not_for={Purpose.REPLAY: "It takes long."})


def read_by(check: Callable[..., object]) -> set[str]:
    """The fields of a submission that a check reads; by `remote` it leaves out what is of other services."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(check)))
    reads = (node for node in ast.walk(tree) if isinstance(node, ast.Attribute))
    return {
        node.attr for node in reads if isinstance(node.value, ast.Name) and node.value.id == "submission"
    } - {"remote"}


OF_FIELDS = [spec for spec in registry.GUARDS if spec.fields]
VALUES = {"mirrors": ("https://example.org/y",), "headers": {"Accept": "*/*"}}


@pytest.mark.parametrize("spec", OF_FIELDS, ids=lambda spec: spec.name)
def test_a_guard_that_judges_fields_reads_no_others(spec: GuardSpec) -> None:
    """What it would refuse without one of them would pass, as it is not asked then."""
    checks = [check for check in (spec.check_submission, spec.check_urls) if check is not None]
    assert set().union(*map(read_by, checks)) == set(spec.fields)


@pytest.mark.parametrize(
    ("spec", "field"),
    [(spec, field) for spec in OF_FIELDS for field in spec.fields],
    ids=lambda value: getattr(value, "name", value),
)
def test_a_guard_is_asked_as_soon_as_one_of_its_fields_is_there(
    spec: GuardSpec, field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without any it is left alone, with any it is asked."""
    asked: list[Submission] = []

    def ask(submission: Submission, _rules: object) -> None:
        asked.append(submission)

    seen = dataclasses.replace(spec, check_submission=ask, check_urls=None)
    monkeypatch.setattr(registry, "GUARDS", (seen,))
    plain = Submission(url="https://example.org/x", max_bytes=1000)
    registry.check_submission(plain, CheckedUrls(SETTINGS))
    assert not asked
    given = msgspec.structs.replace(plain, **{field: VALUES.get(field, "")})
    registry.check_submission(given, CheckedUrls(SETTINGS))
    assert asked == [given]


def test_a_guard_without_fields_is_always_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who declares nothing is never left out; what no submission has cannot be declared."""
    toy = Toy()
    with pytest.raises(ValueError, match="no submission has: colour"):
        dataclasses.replace(toy.spec, fields=("colour",))
    asked: list[Submission] = []
    spec = dataclasses.replace(
        toy.spec, check_submission=lambda submission, _settings: asked.append(submission)
    )
    monkeypatch.setattr(registry, "GUARDS", (spec,))
    registry.check_submission(Submission(url="https://example.org/x", max_bytes=1000), CheckedUrls(SETTINGS))
    assert len(asked) == 1


@SPECS
def test_sections_are_those_of_the_configuration(spec: GuardSpec) -> None:
    """Whoever reads of a limit finds where it is set."""
    assert spec.sections
    assert set(spec.sections) <= set(get_type_hints(Settings))


def test_names_are_unique() -> None:
    """Two guards, or two limits, of one name would hide one another."""
    names = [spec.name for spec in registry.GUARDS]
    limits = [limit.name for limit in published(SETTINGS)]
    assert len(names) == len(set(names))
    assert len(limits) == len(set(limits))


def is_of_guard(tree: ast.Module) -> bool:
    """Whether a file publishes limits or has a class that sees bytes."""
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    return "limits" in functions or any(sees_bytes(node) for node in classes)


def guard_files() -> list[Path]:
    rooms = [ROOT / "guards" / room for room in ("request", "network", "stream")]
    return [
        path
        for path, tree in trees(*rooms)
        if is_of_guard(tree) and (path.parent.name != "formats" or path.name == "guard.py")
    ]


@pytest.mark.parametrize("path", guard_files(), ids=lambda path: path.stem)
def test_every_file_of_a_guard_is_registered(path: Path) -> None:
    """A guard that was written and forgotten is found out."""
    module = importlib.import_module(".".join(path.relative_to(ROOT.parent).with_suffix("").parts))
    assert module.GUARD in registry.GUARDS


def stream_guards() -> dict[str, Path]:
    """The classes that see bytes, with their files."""
    found = {}
    for path in guard_files():
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and sees_bytes(node):
                found[node.name] = path
    return found


def test_guards_are_made_in_their_own_files_only() -> None:
    """No chain is built by hand: what is made elsewhere would miss the guards that come later."""
    guards = stream_guards()
    assert len(guards) >= 4
    made = [
        (path.name, node.func.id)
        for path, tree in trees(ROOT, ROOT.parent / "bench")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in guards
        if path != guards[node.func.id]
    ]
    assert made == []


@pytest.mark.parametrize("purpose", Purpose)
def test_size_and_format_are_left_out_for_a_reason_only(purpose: Purpose) -> None:
    """Whatever comes in is bounded, and whatever is new is looked at; exceptions say why."""
    built = {type(guard).__name__ for guard in registry.Chain(context(purpose)).guards}
    missing = {"ByteCap", "FormatGuard"} - built
    reasons: dict[Purpose, Callable[[set[str]], bool]] = {
        Purpose.REPAIR: lambda names: names == {"FormatGuard"},
        Purpose.PACKED: lambda names: names == {"FormatGuard"},
        Purpose.CONVERT: lambda names: names == {"ByteCap"},
    }
    assert reasons.get(purpose, lambda names: not names)(missing)
