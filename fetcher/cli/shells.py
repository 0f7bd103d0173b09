"""Completion of commands and options by the shell."""

import sys
from typing import Literal

from fetcher.cli.exits import Exit


def completion(shell: Literal["bash", "zsh", "fish"]) -> Exit:
    """Print a completion script: `eval "$(fetcher completion bash)"`.

    Args:
        shell: Which shell it is for.
    """
    from fetcher.cli.app import build

    sys.stdout.write(build().generate_completion(prog_name="fetcher", shell=shell))
    return Exit.OK
