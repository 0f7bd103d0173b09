"""Completion in real shells: bash, zsh and fish, each with its own way to ask."""

import asyncio
import os
import pty
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fetcher.cli.exits import Exit
from fetcher.cli.server.remote import ImageStatus, ImportState
from fetcher.lifecycle import State
from fetcher.model import Status
from tests.cli.conftest import Fetcher

PATIENT_SECONDS = 60
# What is typed, and what is offered for its last word: commands, verbs, options and values.
TYPED = [
    ("fetcher insp", {"inspect"}),
    ("fetcher config s", {"show", "set"}),
    ("fetcher images d", {"delete"}),
    ("fetcher submit --chec", {"--checksum", "--checksum-url", "--checksum-signature-url"}),
    ("fetcher images save --o", {"--output"}),
    ("fetcher token acme me --role a", {"admin"}),
    ("fetcher submit --visibility p", {"private", "public"}),
    ("fetcher submit --convert-to r", {"raw"}),
    ("fetcher imports --state s", {"succeeded"}),
    ("fetcher completion z", {"zsh"}),
]
IDS = [line.removeprefix("fetcher ") for line, _ in TYPED]


def find(shell: str) -> str:
    found = shutil.which(shell)
    if found is None:
        pytest.skip(f"Debian's package {shell} is not installed")
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A home with files that no completion of a word should offer."""
    for name in ("delete.txt", "sets", "private"):
        (tmp_path / "home" / name).mkdir(parents=True)
    return tmp_path / "home"


async def script(fetcher: Fetcher, shell: str, folder: Path) -> Path:
    result = await fetcher("completion", shell)
    assert result.code == Exit.OK
    path = folder.parent / f"completion.{shell}"
    path.write_text(result.out)
    return path


@pytest.mark.parametrize(("typed", "offered"), TYPED, ids=IDS)
async def test_bash_offers_what_can_follow(
    fetcher: Fetcher, folder: Path, typed: str, offered: set[str]
) -> None:
    """The function that bash calls at TAB puts commands, options and values into its reply."""
    path = await script(fetcher, "bash", folder)
    words = typed.split(" ")
    asked = f"COMP_WORDS=({typed}); COMP_CWORD={len(words) - 1}; _fetcher; echo ${{COMPREPLY[@]}}"
    command = [find("bash"), "--norc", "-c", f'eval "$(cat {path})"\n{asked}']
    done = await asyncio.to_thread(
        subprocess.run, command, cwd=folder, capture_output=True, text=True, check=True
    )
    assert (set(done.stdout.split()), done.stderr) == (offered, "")


@pytest.mark.parametrize(("typed", "offered"), TYPED, ids=IDS)
async def test_fish_offers_what_can_follow(
    fetcher: Fetcher, folder: Path, typed: str, offered: set[str]
) -> None:
    """Fish is asked by its own `complete -C`; no file is among the offers."""
    path = await script(fetcher, "fish", folder)
    command = [find("fish"), "--no-config", "-c", f"cat {path} | source; complete -C '{typed}'"]
    done = await asyncio.to_thread(
        subprocess.run, command, cwd=folder, capture_output=True, text=True, check=True
    )
    assert ({line.partition("\t")[0] for line in done.stdout.splitlines()}, done.stderr) == (offered, "")


class Zsh:
    """An interactive zsh, which completes only for somebody who types."""

    def __init__(self, folder: Path) -> None:
        program = find("zsh")
        self._process, self._terminal = pty.fork()
        if self._process == 0:
            os.chdir(folder)
            os.execve(
                program,
                ["zsh", "-f", "-i"],
                {"TERM": "xterm", "HOME": str(folder), "PATH": os.environ["PATH"]},
            )

    def press(self, keys: str) -> None:
        os.write(self._terminal, keys.encode())

    def until(self, *words: str) -> str:
        """Read what it shows until all words are there."""
        shown, deadline = "", time.monotonic() + PATIENT_SECONDS
        while not all(word in shown for word in words):
            left = deadline - time.monotonic()
            assert left > 0, f"{words} never came: {shown!r}"
            if select.select([self._terminal], [], [], left)[0]:
                shown += os.read(self._terminal, 65536).decode(errors="replace")
        return shown

    def end(self) -> None:
        os.close(self._terminal)
        os.waitpid(self._process, 0)


@pytest.fixture
def zsh(folder: Path) -> Iterator[Zsh]:
    """Zsh with nothing of the user's."""
    shell = Zsh(folder)
    yield shell
    shell.end()


async def test_zsh_offers_what_can_follow(fetcher: Fetcher, folder: Path, zsh: Zsh) -> None:
    """At TAB, one offer is written out and several are listed; nobody has to begin completion first."""
    path = await script(fetcher, "zsh", folder)

    def converse() -> None:
        zsh.press(f"ZDOTDIR={folder}; LISTMAX=0; ")
        zsh.press(f'eval "$(cat {path})"; print READ""Y\n')
        zsh.until("READY")
        for typed, offered in TYPED:
            begun = typed.rpartition(" ")[2]
            is_one = len(offered) == 1
            zsh.press(f"{typed}\t" if is_one else f"{typed}\t\t")
            zsh.until(*({word.removeprefix(begun) for word in offered} if is_one else offered))
            zsh.press("\x15")  # Away with the line.
            done.append(typed)

    done: list[str] = []
    await asyncio.to_thread(converse)
    assert done == [typed for typed, _offered in TYPED]


async def test_zsh_takes_it_from_its_function_path(fetcher: Fetcher, folder: Path, zsh: Zsh) -> None:
    """Installed as a file `_fetcher` it works at the first TAB, as a package would have it."""
    path = await script(fetcher, "zsh", folder)
    (folder / "functions").mkdir()
    path.rename(folder / "functions" / "_fetcher")

    def converse() -> None:
        zsh.press(
            f"ZDOTDIR={folder}; fpath=({folder}/functions $fpath); autoload -Uz compinit; compinit -u; "
        )
        zsh.press('print READ""Y\n')
        zsh.until("READY")
        zsh.press("fetcher insp\t")
        shown.append(zsh.until("fetcher insp", "ect"))

    shown: list[str] = []
    await asyncio.to_thread(converse)
    assert "command not found" not in shown[0]


def test_the_values_that_are_offered_are_those_there_are() -> None:
    """States and statuses are written out for the shell, and are the service's own."""
    assert set(ImportState.__args__) == {state.value for state in State}
    assert set(ImageStatus.__args__) <= {status.value for status in Status}
