"""All commands together, and the one place where what they raise becomes words and an exit code."""

import sys
from collections.abc import Sequence
from functools import singledispatch
from typing import Any

from cyclopts import App, Group, Parameter

from fetcher import __version__
from fetcher.advice import advice_for
from fetcher.cli import (
    converting,
    doctor,
    inspecting,
    local,
    metadefs,
    probing,
    remote,
    settings,
    shells,
    store,
    tokens,
)
from fetcher.cli.client import Refused, Unreachable
from fetcher.cli.exits import Exit, exit_of_problem
from fetcher.cli.screen import Screen
from fetcher.config import BadConfig
from fetcher.errors import Failure, StoreFailed


def _default_words(value: object) -> str | None:
    """A default that is worth telling; that a switch is off goes without saying."""
    return None if value in (None, False, 0, ()) else str(value)


app = App(
    name="fetcher",
    help="Submit a URL, get an image.",
    version=__version__,
    help_format="plaintext",
    result_action="return_value",
    suppress_keyboard_interrupt=False,
    default_parameter=Parameter(show_default=_default_words),
)
HERE = Group.create_ordered("On this machine")
THERE = Group.create_ordered("On a server")
OPERATOR = Group.create_ordered("For operators")
config = App(name="config", help="Check, show and change the configuration.", group=OPERATOR)
stored = App(name="store", help="Look after the store: check, repair, gc, backup.", group=OPERATOR)
definitions = App(name="metadefs", help="Bring in metadata definitions.", group=OPERATOR)
definitions.command(metadefs.load)
stored.command(store.check)
stored.command(store.repair)
stored.command(store.gc)
stored.command(store.backup)
app.command(local.pull, group=HERE)
app.command(inspecting.inspect, group=HERE)
app.command(converting.convert, group=HERE)
app.command(converting.verify_boot_command, name="verify-boot", group=HERE)
app.command(remote.submit, group=THERE)
app.command(probing.probe, group=THERE)
app.command(remote.imports, group=THERE)
app.command(remote.show, group=THERE)
app.command(remote.cancel, group=THERE)
app.command(remote.images, group=THERE)
app.command(remote.limits, group=THERE)
app.command(local.serve, group=OPERATOR)
app.command(doctor.doctor, group=OPERATOR)
app.command(config)
app.command(tokens.token, group=OPERATOR)
app.command(stored)
app.command(definitions)
app.command(shells.completion, group=OPERATOR)
config.command(settings.check)
config.command(settings.show)
config.command(settings.set_key, name="set")


def run(arguments: Sequence[str]) -> int:
    """Run one command line; the answer is the exit code."""
    screen = Screen(as_json="--json" in arguments)
    try:
        result = app(list(arguments))
    except SystemExit as leaving:  # A wrong command line: the message is out already.
        return leaving.code if isinstance(leaving.code, int) else Exit.USAGE
    except BrokenPipeError:
        sys.stdout = None  # Whoever read has left: nothing may be flushed to them.
        return Exit.OK
    except (KeyboardInterrupt, Exception) as error:  # noqa: BLE001 - what nobody foresaw is raised again below
        return tell(error, screen)
    return int(result or 0)


@singledispatch
def tell(error: BaseException, _screen: Screen) -> Exit:
    """Put what was raised into words; the answer is the exit code."""
    raise error


@tell.register
def _(_error: KeyboardInterrupt, _screen: Screen) -> Exit:
    return Exit.INTERRUPTED


@tell.register
def _(error: Refused, screen: Screen) -> Exit:
    document = error.document or {"detail": str(error), "status": error.status}
    return _print(screen, document, exit_of_problem(error.code, error.status))


@tell.register
def _(error: Unreachable, screen: Screen) -> Exit:
    return _print(screen, {"code": "unreachable", "detail": str(error)}, Exit.UNREACHABLE)


@tell.register
def _(error: BadConfig, screen: Screen) -> Exit:
    mistakes = [str(mistake) for mistake in error.mistakes]
    document = {"code": "config-invalid", "detail": "\n".join(mistakes), "mistakes": mistakes}
    return _print(screen, document, Exit.USAGE)


@tell.register
def _(error: Failure, screen: Screen) -> Exit:
    advice = advice_for(error)
    document = {"code": error.code, "detail": str(error), "advice": advice, **error.fields()}
    return _print(screen, document, exit_of_problem(error.code, 400))


@tell.register
def _(error: StoreFailed, screen: Screen) -> Exit:
    """A caller of a server waits for its operator; whoever sits here is the operator."""
    advice = "Stop the server or command that has the store, or let the server do it: `fetcher submit`."
    if "in use" not in error.reason:
        advice = "Look at the folder with `fetcher doctor` and `fetcher store check`."
    document = {"code": error.code, "detail": f"The store: {error.reason}.", "advice": advice}
    return _print(screen, document, exit_of_problem(error.code, 400))


@tell.register
def _(error: ValueError, screen: Screen) -> Exit:
    return _print(screen, {"code": "usage", "detail": str(error)}, Exit.USAGE)


@tell.register
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
