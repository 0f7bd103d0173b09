"""The engine that wakes hosts for what there is to do."""

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Literal

from fetcher.settings.base import Mistake, Section


class Engine(Section, frozen=True, kw_only=True):
    """The engine that wakes hosts for what there is to do."""

    kind: Literal["postgres", "pgqueuer"]

    def mistakes(self) -> Iterator[Mistake]:
        """Find a library that is not installed."""
        if self.kind == "pgqueuer" and find_spec("pgqueuer") is None:
            expected = (
                "the package pgqueuer, which is not installed; in the checkout: "
                'make setup EXTRAS="postgres pgqueuer"'
            )
            yield Mistake(key="engine.kind", value='"pgqueuer"', expected=expected)
