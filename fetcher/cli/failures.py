"""The one place where what a command raises becomes words and an exit code."""

from functools import singledispatch
from typing import Any

from fetcher.advice import advice_for
from fetcher.cli.client import Refused, Unreachable
from fetcher.cli.exits import CommandFailed, Exit, exit_of_problem
from fetcher.cli.screen import Screen
from fetcher.config import BadConfig
from fetcher.errors import Failure, StoreFailed


@singledispatch
def report(error: BaseException, _screen: Screen) -> Exit:
    """Put what was raised into words; the answer is the exit code."""
    raise error


@report.register
def _(_error: KeyboardInterrupt, _screen: Screen) -> Exit:
    return Exit.INTERRUPTED


@report.register
def _(error: Refused, screen: Screen) -> Exit:
    document = error.document or {"detail": str(error), "status": error.status}
    return _print(screen, document, exit_of_problem(error.code, error.status))


@report.register
def _(error: Unreachable, screen: Screen) -> Exit:
    return _print(screen, {"code": "unreachable", "detail": str(error)}, Exit.UNREACHABLE)


@report.register
def _(error: CommandFailed, screen: Screen) -> Exit:
    return _print(screen, error.fields, error.exit_code)


@report.register
def _(error: BadConfig, screen: Screen) -> Exit:
    mistakes = [str(mistake) for mistake in error.mistakes]
    document = {"code": "config-invalid", "detail": "\n".join(mistakes), "mistakes": mistakes}
    return _print(screen, document, Exit.USAGE)


@report.register
def _(error: Failure, screen: Screen) -> Exit:
    advice = advice_for(error)
    document = {"code": error.code, "detail": str(error), "advice": advice, **error.fields()}
    return _print(screen, document, exit_of_problem(error.code, 400))


@report.register
def _(error: StoreFailed, screen: Screen) -> Exit:
    """Tell the operator who sits here what a caller of a server would ask its operator for."""
    advice = "Stop the server or command that has the store, or let the server do it: `fetcher submit`."
    if "in use" not in error.reason:
        advice = "Look at the folder with `fetcher doctor` and `fetcher store check`."
    document = {"code": error.code, "detail": f"The store: {error.reason}.", "advice": advice}
    return _print(screen, document, exit_of_problem(error.code, 400))


@report.register
def _(error: ValueError, screen: Screen) -> Exit:
    return _print(screen, {"code": "usage", "detail": str(error)}, Exit.USAGE)


@report.register
def _(error: OSError, screen: Screen) -> Exit:
    detail = f"{error.filename or ''}: {error.strerror or error}".lstrip(": ")
    return _print(screen, {"code": "file", "detail": detail}, Exit.USAGE)


def _print(screen: Screen, document: dict[str, Any], code: Exit) -> Exit:
    if screen.as_json:
        screen.json({"error": document})
        return code
    for line in str(document.get("detail", "")).splitlines():
        screen.say(line, "red")
    if document.get("advice"):
        screen.say(str(document["advice"]))
    return code
