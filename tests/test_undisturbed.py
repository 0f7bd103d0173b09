"""The suite stands on Debian's own interpreter."""

import ast
import gc
from pathlib import Path

SOURCE = Path(ast.__file__).read_text()


class Untidy:
    """Garbage whose end parses something, as a warning's traceback does."""

    parsed = 0

    def __init__(self) -> None:
        self.myself = self

    def __del__(self) -> None:
        ast.parse("a + b * c")
        Untidy.parsed += 1


def test_garbage_does_not_break_the_parser() -> None:
    """A collection of garbage that parses does not end the parsing that it interrupts."""
    before, whole = gc.get_threshold(), ast.dump(ast.parse(SOURCE))
    Untidy.parsed = 0
    gc.set_threshold(50)
    try:
        for _ in range(20):
            for _ in range(5):
                Untidy()
            assert ast.dump(ast.parse(SOURCE)) == whole
        assert Untidy.parsed > 0
    finally:
        gc.set_threshold(*before)
        gc.collect()
