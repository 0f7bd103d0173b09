"""What people see on a terminal: a bar that moves, words that wrap, nothing that a hostile name can do."""

import io
import re
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from fetcher.api.submit.words import exact_words, moment_words, rate_words, size_words, time_words, title_of
from fetcher.cli.progress import Bar
from fetcher.cli.screen import Screen, plain

RUNNING: dict[str, Any] = {
    "id": "1",
    "name": None,
    "url": "https://example.org/a/disk.img?token=***",
    "state": "running",
    "phase": "pulling",
    "attempts": [],
    "progress": {
        "received_bytes": 1 << 20,
        "expected_bytes": 4 << 20,
        "bytes_per_second": 1 << 20,
        "seconds_left": 3.0,
    },
}


def shown(*documents: dict[str, Any], is_shown: bool = True) -> str:
    """What a bar writes to a terminal of 120 columns."""
    console = Console(file=io.StringIO(), force_terminal=True, width=120, color_system=None)
    with Bar(console, is_shown=is_shown) as bar:
        for document in documents:
            bar.show(document)
    return console.file.getvalue()  # type: ignore[attr-defined] # it is the StringIO above


def test_bar_shows_amount_rate_and_time_left() -> None:
    """How much of how much, how fast, how long yet."""
    text = shown(RUNNING)
    for words in ("disk.img", "1 MiB of 4 MiB", "1 MiB/s, 3 s left"):
        assert words in text


@pytest.mark.parametrize("width", [64, 80, 200])
def test_bar_fits_a_narrow_terminal(width: int) -> None:
    """The name gets shorter, the numbers never, and the last columns stay free for what a terminal echoes."""
    console = Console(file=io.StringIO(), force_terminal=True, width=width, color_system=None)
    with Bar(console, is_shown=True) as bar:
        bar.show(RUNNING | {"name": "a name that goes on and on and on and then some"})
    written = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", console.file.getvalue())  # type: ignore[attr-defined] # the test gave it a StringIO
    frames = re.findall(r".*MiB/s.*", written.replace("\r", "\n"))
    assert frames
    for frame in frames:
        assert "1 MiB of 4 MiB" in frame
        assert "1 MiB/s, 3 s left" in frame
        assert len(frame) <= width - 3


def test_bar_shows_an_import_of_unknown_size_and_one_that_waits() -> None:
    """Where a number is not known, none is made up."""
    unknown = RUNNING | {"progress": RUNNING["progress"] | {"expected_bytes": None, "seconds_left": None}}
    assert "1 MiB " in shown(unknown)
    attempts = [{"wait_seconds": 2.0, "code": "truncated"}]
    waiting = RUNNING | {"state": "waiting", "phase": None, "attempts": attempts}
    assert "trying again in 2 s (truncated)" in shown(waiting)


@pytest.mark.parametrize("width", [60, 100])
def test_a_table_keeps_ids_whole(width: int) -> None:
    """Only the last column gets shorter; one of prose goes on in the next line."""
    screen = Screen()
    file = io.StringIO()
    screen.out = Console(file=file, force_terminal=True, width=width, color_system=None, soft_wrap=True)
    rows = [["a" * 36, "x", "a name 名前 that goes on and on and on and on"]]
    screen.table(("ID", "CODE", "WHAT"), rows)
    screen.table(("ID", "CODE", "WHAT"), rows, is_prose=True)
    text = file.getvalue()
    assert text.count("a" * 36) == 2
    assert ("…" in text) is (width == 60)
    assert max(cell_len(line) for line in text.splitlines()) <= width
    screen.table(("ID",), [])
    assert file.getvalue() == text


def test_bar_is_silent_in_a_pipe() -> None:
    """A log file gets no escape sequences."""
    assert shown(RUNNING, is_shown=False) == ""


def test_hostile_names_cannot_move_the_cursor() -> None:
    """Control characters are shown, not sent."""
    text = shown(RUNNING | {"name": "\x1b]0;owned\x07\x1b[2J"})
    assert "\x1b]0" not in text
    assert "\\x1b]0;owned\\x07" in text


def test_wrapping_keeps_what_is_copied() -> None:
    """Sentences are broken between words, digests never."""
    screen = Screen()
    file = io.StringIO()
    screen.out = Console(file=file, force_terminal=True, width=40, color_system=None, soft_wrap=True)
    screen.facts([("why", "a sentence that is longer than the terminal is wide"), ("sha256", "a" * 64)])
    lines = file.getvalue().splitlines()
    assert "a" * 64 in lines[-1]
    assert max(len(line) for line in lines[:-1]) <= 40


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (size_words(0), "0 B"),
        (size_words(1023), "1023 B"),
        (size_words(1536), "1.5 KiB"),
        (size_words(200 * 2**30), "200 GiB"),
        (size_words(None), "-"),
        (exact_words(None), None),
        (exact_words(5), "5 bytes"),
        (exact_words(2048), "2,048 bytes (2 KiB)"),
        (rate_words(None), "-"),
        (time_words(None), "-"),
        (time_words(4.24), "4.2 s"),
        (time_words(59.4), "59 s"),
        (time_words(200), "3:20 min"),
        (time_words(7500), "2:05 h"),
        (title_of({"name": "", "url": "https://h/"}), "h"),
        (moment_words({"state": "queued"}), "waiting in line"),
        (moment_words({"state": "running", "phase": None}), "running"),
        (plain(None), ""),
    ],
)
def test_numbers_in_words(value: object, words: object) -> None:
    """Short, with a unit, and never a made-up digit."""
    assert value == words
