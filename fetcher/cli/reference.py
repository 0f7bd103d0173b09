"""The reference of all commands, made from the commands themselves."""

from fetcher.cli.app import build
from fetcher.cli.exits import MEANINGS

HEAD = """# The command line

Made from the commands by `python scripts/docs.py`.

In a checkout the command is `.venv/bin/fetcher`; [operator.md](operator.md) puts it on the PATH.

Results go to standard output, everything else to standard error. In a pipe,
lists are lines with tabs between the columns, and nothing moves. `--json`
prints one JSON document in place of words, also for errors.

```sh
fetcher submit https://example.org/disk.qcow2 --wait   # to a server; the exit code is the verdict
fetcher pull https://example.org/disk.qcow2            # into the local store, without a server
fetcher inspect disk.qcow2                             # what it is, and whether it is safe
eval "$(fetcher completion bash)"                      # completion; zsh likewise
fetcher completion fish | source                       # the same in fish
man -l docs/fetcher.1                                  # the same as this page
```

"""


def reference_page() -> str:
    """Every command with its arguments, then the exit codes."""
    commands = build().generate_docs("markdown", heading_level=2)
    rows = "".join(f"| {code.value} | {words} |\n" for code, words in MEANINGS.items())
    return f"{HEAD}{commands.strip()}\n\n## Exit codes\n\n| code | meaning |\n| --- | --- |\n{rows}"
