"""The command: `python server.py [--config FILE] [--listen HOST:PORT]`.

What is loaded here is little: the port is opened, and answered at, before all the rest is.
"""

import argparse
import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from fetcher.config import BadConfig, Settings, data_folder, load_settings
from fetcher.listening import base_of, bind, release, release_if_open
from fetcher.log_lines import STDERR
from fetcher.settings.guards.exports import KINDS
from fetcher.start.early import answer_early

Changes = dict[str, dict[str, Any]]
Loading = Callable[[], AbstractContextManager[None]]


def main(arguments: list[str] | None = None, loading: Loading = nullcontext) -> int:
    """Check the configuration or serve it; the answer is the exit code.

    Args:
        loading: All that a service is made of is loaded within this.
    """
    parser = argparse.ArgumentParser(prog="server.py", description="Submit a URL, get an image.")
    parser.add_argument("--config", type=Path, metavar="FILE", help="laid over config.toml key by key")
    parser.add_argument("--listen", metavar="HOST:PORT|unix:PATH", help="instead of server.listen")
    parser.add_argument("--check-config", action="store_true", help="list every mistake of the file and exit")
    parser.add_argument(
        "--make-token", action="store_true", help="make a token for auth.mode = tokens and exit"
    )
    options = parser.parse_args(arguments)
    if options.make_token:
        return _make_token()
    changes: Changes = {"server": {"listen": options.listen}} if options.listen else {}
    try:
        settings = _valid_settings(options.config, changes, loading)
    except BadConfig as error:
        for mistake in error.mistakes:
            print(mistake, file=sys.stderr)  # noqa: T201 - the answer to --check-config
        return 2
    if options.check_config:
        with loading():
            return check_store(settings)
    return _serve(options.config, changes, settings, loading)


def _valid_settings(config: Path | None, changes: Changes, loading: Loading) -> Settings:
    """Read the configuration, and judge all of it.

    Raises:
        BadConfig: With every mistake.
    """
    settings = load_settings(config, changes)
    if not KINDS.issuperset(settings.exports.kinds):  # Somebody else's sender is known when it is loaded.
        with loading():
            from fetcher.service.configured import Configured
        Configured(config, changes, settings)
    return settings


def _make_token() -> int:
    from fetcher.api.auth.identity import make_token

    token, sha256 = make_token()
    print(f"token   {token}\nsha256  {sha256}")  # noqa: T201 - the answer to --make-token
    return 0


def check_store(settings: Settings) -> int:
    """Look at the store of a configuration that is valid in itself; the answer is the exit code."""
    from fetcher.errors import Failure
    from fetcher.store.configured import NO_CONDITIONS, examine_bucket

    try:
        is_kept = not settings.store.url or examine_bucket(settings)
    except Failure as failure:
        print(f"store.url = {settings.store.url}: {failure}", file=sys.stderr)  # noqa: T201 - the answer to --check-config
        return 2
    if not is_kept:
        print(f"store.url = {settings.store.url}: {NO_CONDITIONS}", file=sys.stderr)  # noqa: T201 - likewise
    print("The configuration is valid.")  # noqa: T201 - likewise
    return 0


def _serve(config: Path | None, changes: Changes, settings: Settings, loading: Loading) -> int:
    """Open the port, load the rest beside whoever answers there, and serve; the answer is the exit code."""
    os.umask(0o077)  # Whatever is made from here on is for this user alone.
    try:
        listening = bind(settings.server)
    except OSError as error:
        print(f"Cannot listen on {settings.server.listen}: {error.strerror}.", file=sys.stderr)  # noqa: T201 - for whoever starts it
        return 1
    _leave_no_path(listening, settings)
    early = answer_early(listening, settings)
    _introduce(settings, listening, data_folder(settings, config))
    try:
        with loading():
            from fetcher.logs import set_up_logs
            from fetcher.memory import keep_freed_memory
            from fetcher.service import Service, serve
        set_up_logs(settings)
        keep_freed_memory()
        service = Service(config, changes, settings)
    except KeyboardInterrupt:  # A person's Ctrl-C: there is nothing to stop yet, and nothing more to say.
        release(listening, settings.server)
        return 1
    return serve(service, listening, early.hand_over if early is not None else None)


def _leave_no_path(listening: socket.socket, settings: Settings) -> None:
    """Have SIGTERM take the path of a socket away as it ends the process, until the server hears signals."""

    def leave(number: int, _frame: object) -> None:
        release_if_open(listening, settings.server)
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)
        os._exit(128 + number)  # Still here: the first process of a container is not ended by a default.

    signal.signal(signal.SIGTERM, leave)


def _introduce(settings: Settings, listening: socket.socket, folder: Path) -> None:
    """Say what a person who starts the service wants to know first."""
    base = settings.server.public_url or base_of(listening)
    STDERR.write(
        f"Glance Fetcher\n  page    {base}/\n  API     {base}/imports and {base}/v2/images\n"
        f"  limits  {base}/limits\n  data    {folder}\n"
    )
