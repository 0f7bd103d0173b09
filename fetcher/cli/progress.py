"""A moving bar for one import, for people at a terminal."""

from typing import Any, Self

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task
from rich.table import Column
from rich.text import Text

from fetcher.api.submit.words import STYLES, moment_words, rate_words, size_words, time_words, title_of
from fetcher.cli.screen import plain

NAME_CELLS = 28
OTHER_CELLS = 58  # Spinner, bar, amount, rate and time left: the name is what gets shorter first.
ECHO_CELLS = 3  # A terminal prints ^C behind the bar; in the last column that would move all by a line.


class _Amount(ProgressColumn):
    """Bytes so far, and in all."""

    def render(self, task: Task) -> Text:
        shown = task.fields["document"]["progress"]
        received = size_words(shown["received_bytes"])
        expected = shown["expected_bytes"]
        return Text(received if expected is None else f"{received} of {size_words(expected)}")


class _Pace(ProgressColumn):
    """Rate, and time that is left."""

    def render(self, task: Task) -> Text:
        document = task.fields["document"]
        shown = document["progress"]
        if document["phase"] != "pulling" or shown["bytes_per_second"] is None:
            return Text("")
        left = shown["seconds_left"]
        text = rate_words(shown["bytes_per_second"])
        return Text(text if left is None else f"{text}, {time_words(left)} left", style="cyan")


class _Moment(ProgressColumn):
    """Phase of the work."""

    def render(self, task: Task) -> Text:
        document = task.fields["document"]
        if document["phase"] == "pulling" and document["progress"]["bytes_per_second"] is not None:
            return Text("")  # The rate says it.
        return Text(moment_words(document), style=STYLES.get(document["state"], ""))


class _Narrow:
    """Leaves room at the end of each line."""

    def __init__(self, inner: RenderableType) -> None:
        self._inner = inner

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        narrower = options.update_width(max(1, options.max_width - ECHO_CELLS))
        yield from console.render(self._inner, narrower)


class _Line(Progress):
    """Progress that leaves room at its end."""

    def get_renderable(self) -> RenderableType:
        return _Narrow(super().get_renderable())


class Bar:
    """Shows one import while it runs and goes away when it ends; silent where nobody watches.

    Args:
        console: Where people look; standard error, so that results stay clean.
        is_shown: False in a pipe.
    """

    def __init__(self, console: Console, *, is_shown: bool) -> None:
        self._name_cells = max(8, min(NAME_CELLS, console.width - ECHO_CELLS - OTHER_CELLS))
        self._progress = _Line(
            SpinnerColumn(finished_text=" "),
            "{task.description}",
            BarColumn(bar_width=None, table_column=Column(ratio=1, min_width=6, max_width=40)),
            _Amount(table_column=Column(no_wrap=True)),
            _Pace(table_column=Column(no_wrap=True)),
            _Moment(table_column=Column(no_wrap=True)),
            console=console,
            transient=True,
            disable=not is_shown,
            expand=True,
        )
        self._task: Any = None

    def __enter__(self) -> Self:
        """Take the line."""
        self._progress.start()
        return self

    def __exit__(self, *_error: object) -> None:
        """Give the line back."""
        self._progress.stop()

    def show(self, document: dict[str, Any]) -> None:
        """Show how far an import is."""
        shown = document["progress"]
        if self._task is None:
            name = plain(title_of(document))
            name = name if len(name) <= self._name_cells else f"{name[: self._name_cells - 1]}…"
            self._task = self._progress.add_task(name, total=None, document=document)
        self._progress.update(
            self._task,
            completed=shown["received_bytes"],
            total=shown["expected_bytes"],
            document=document,
        )
