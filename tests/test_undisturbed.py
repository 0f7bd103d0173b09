"""The suite stands on Debian's own interpreter."""

import ast
import gc
from pathlib import Path

SOURCE = Path(ast.__file__).read_text()


class Untidy:
    """Garbage whose end parses something, as a warning's traceback does."""

    def __init__(self) -> None:
        self.myself = self

    def __del__(self) -> None:
        ast.parse("a + b * c")


def test_garbage_does_not_break_the_parser() -> None:
    """A collection of garbage that parses does not end the parsing that it interrupts."""
    before = gc.get_threshold()
    gc.set_threshold(50)
    try:
        for _ in range(20):
            for _ in range(5):
                Untidy()
            ast.parse(SOURCE)
    finally:
        gc.set_threshold(*before)
        gc.collect()
