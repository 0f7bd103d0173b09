"""What a command line costs before it does anything, and what help says of commands it has not loaded."""

import subprocess
import sys
from importlib import import_module

import pytest

from fetcher.cli.app import COMMANDS, GROUPS, VERBS, Command

ALL = [
    command
    for commands in [
        *COMMANDS.values(),
        *(commands for _words, commands in GROUPS.values()),
        *VERBS.values(),
    ]
    for command in commands.values()
]


def loaded(*arguments: str) -> set[str]:
    code = f"import sys; sys.argv = ['fetcher', *{arguments!r}]; from fetcher.cli import main\n"
    code += "try:\n    main()\nexcept SystemExit:\n    pass\nprint('\\n' + ' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.rsplit("\n", 2)[-2].split())


def test_version_loads_nothing_but_the_version() -> None:
    """A shell that asks for the version in its prompt does not wait for libraries."""
    modules = loaded("--version")
    assert "fetcher.cli" in modules
    assert not modules & {"cyclopts", "rich", "msgspec", "aiohttp", "starlette"}


@pytest.mark.parametrize("arguments", [["--help"], [], ["store", "--help"], ["config"]])
def test_a_list_of_commands_loads_no_command(arguments: list[str]) -> None:
    """Help is there at once: neither the server nor any command is imported for it."""
    modules = loaded(*arguments)
    assert "cyclopts" in modules
    assert not modules & {
        "aiohttp",
        "starlette",
        "fetcher.service",
        "fetcher.cli.server.remote",
        "fetcher.cli.machine.store",
        "fetcher.config",
    }


def test_a_command_does_not_load_one_with_verbs() -> None:
    """What does something by itself, and with a verb something else, is imported when it is asked for."""
    modules = loaded("token", "acme", "me")
    assert "fetcher.cli.machine.tokens" in modules
    assert not modules & {
        "fetcher.cli.server.remote",
        "fetcher.cli.server.images",
        "fetcher.cli.server.saving",
    }


@pytest.mark.parametrize("command", ALL, ids=lambda command: command.where)
def test_listed_words_are_the_command_s_own(command: Command) -> None:
    """The list says of a command what its docstring begins with."""
    module, function = command.where.split(":")
    docstring = getattr(import_module(f"fetcher.cli.{module}"), function).__doc__
    assert docstring.splitlines()[0] == command.words
