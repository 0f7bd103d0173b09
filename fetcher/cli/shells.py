"""Completion of commands, options and their values by the shell."""

import sys
from typing import Literal

from fetcher.cli.exits import Exit

# The library's script only defines a function. Autoloaded from a file `_fetcher` it has to call it; read by
# `eval` it has to register it, also in a zsh whose start-up files have not begun completion yet.
_ZSH_END = """
if [ "$funcstack[1]" = "_fetcher" ]; then
  _cyclopts_fetcher "$@"
else
  (( $+functions[compdef] )) || { autoload -Uz compinit && compinit; }
  compdef _cyclopts_fetcher fetcher
fi
"""


def completion(shell: Literal["bash", "zsh", "fish"]) -> Exit:
    """Print a completion script: `eval "$(fetcher completion bash)"`.

    zsh takes it like bash; for fish it is `fetcher completion fish | source`.

    Args:
        shell: Which shell it is for.
    """
    from fetcher.cli.app import build

    script = build().generate_completion(prog_name="fetcher", shell=shell)
    sys.stdout.write(script + {"bash": "", "zsh": _ZSH_END, "fish": _fish_end()}[shell])
    return Exit.OK


def _fish_end() -> str:
    """Return what keeps fish from offering files where a verb is expected."""
    from fetcher.cli.app import GROUPS, VERBS

    condition = "complete -c fetcher -n '__fish_fetcher_using_command {name}' -f\n"
    return "\n" + "".join(condition.format(name=name) for name in (*GROUPS, *VERBS))
