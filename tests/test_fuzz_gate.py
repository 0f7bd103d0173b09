"""The gate's fuzz harnesses on their corpus and on a few fresh inputs; `make fuzz` runs them for long."""

import importlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz.__main__ import CORPUS, HARNESSES, instrumented, run_blind

FRESH = {"http": 40}


@pytest.mark.parametrize("name", HARNESSES)
def test_corpus_breaks_no_invariant(name: str) -> None:
    """Every input that once was interesting still is handled."""
    check = importlib.import_module(f"fuzz.{name}").check
    seeds = sorted((CORPUS / name).iterdir())
    assert seeds
    for seed in seeds:
        check(seed.read_bytes())


@pytest.mark.parametrize("name", HARNESSES)
def test_fresh_inputs_break_no_invariant(name: str) -> None:
    """A short search; hypothesis shrinks what it finds."""
    check = importlib.import_module(f"fuzz.{name}").check

    @settings(max_examples=FRESH.get(name, 150))
    @given(seed=st.binary(max_size=160))
    def search(seed: bytes) -> None:
        check(seed)

    search()


@pytest.mark.parametrize("name", HARNESSES)
def test_harness_says_its_invariant_first(name: str) -> None:
    """Whoever opens the file reads what is promised before how it is checked."""
    first = (Path(__file__).parent.parent / "fuzz" / f"{name}.py").read_text().splitlines()[0]
    assert first.startswith('"""')
    assert first.endswith('."""')
    assert all(
        module.split(".")[0] in {"fetcher", "idna", "yarl", "http_sf"} for module in instrumented(name)
    )


def test_long_run_works_without_a_guide(capsys: pytest.CaptureFixture[str]) -> None:
    """Where atheris is not to be had, inputs are changed blindly, and the rate is told."""
    assert run_blind("sums", 0.2, seed=1) == 0
    assert "no finding" in capsys.readouterr().out
