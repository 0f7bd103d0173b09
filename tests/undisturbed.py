"""Keep Python 3.11 from failing in `ast.parse` when a collection of garbage parses something too.

Python 3.11 counts the depth of an abstract syntax tree in one place for the whole interpreter. Building the
tree may start a garbage collection; a finalizer that warns has its traceback formatted, the `traceback`
module parses the line for its markers, and the outer call then ends with "SystemError: AST constructor
recursion depth mismatch". pytest parses the source of every failed assertion, so that one unclosed socket
could end the whole run.

Source: CPython issue 106905; Python 3.12 counts otherwise.
"""

import ast
import gc
import sys
import threading
from functools import wraps
from typing import Any

_ALONE = threading.RLock()


def protect_ast() -> None:
    """Have `ast.parse` build each tree without a garbage collection in the middle, on Python 3.11."""
    if sys.version_info >= (3, 12) or hasattr(ast.parse, "__wrapped__"):
        return
    parse = ast.parse

    @wraps(parse)
    def parse_undisturbed(*arguments: Any, **named: Any) -> Any:
        with _ALONE:
            was_on = gc.isenabled()
            gc.disable()
            try:
                return parse(*arguments, **named)
            finally:
                if was_on:
                    gc.enable()

    ast.parse = parse_undisturbed
