"""The command: `python server.py [--config FILE] [--listen HOST:PORT]`."""

import argparse
import os
import sys
from pathlib import Path

from fetcher.api.auth.identity import make_token
from fetcher.config import BadConfig, Settings
from fetcher.errors import Failure
from fetcher.logs import set_up_logs
from fetcher.memory import keep_freed_memory
from fetcher.service.service import Service
from fetcher.service.serving import serve
from fetcher.store.configured import NO_CONDITIONS, examine_bucket


def main(arguments: list[str] | None = None) -> int:
    """Check the configuration or serve it; the answer is the exit code."""
    parser = argparse.ArgumentParser(prog="server.py", description="Submit a URL, get an image.")
    parser.add_argument("--config", type=Path, metavar="FILE", help="laid over config.toml key by key")
    parser.add_argument("--listen", metavar="HOST:PORT|unix:PATH", help="instead of server.listen")
    parser.add_argument("--check-config", action="store_true", help="list every mistake of the file and exit")
    parser.add_argument(
        "--make-token", action="store_true", help="make a token for auth.mode = tokens and exit"
    )
    options = parser.parse_args(arguments)
    if options.make_token:
        token, sha256 = make_token()
        print(f"token   {token}\nsha256  {sha256}")  # noqa: T201 - the answer to --make-token
        return 0
    changes = {"server": {"listen": options.listen}} if options.listen else {}
    try:
        service = Service(options.config, changes)
    except BadConfig as error:
        for mistake in error.mistakes:
            print(mistake, file=sys.stderr)  # noqa: T201 - the answer to --check-config
        return 2
    if options.check_config:
        return check_store(service.settings)
    os.umask(0o077)  # Whatever is made from here on is for this user alone.
    set_up_logs(service.settings)
    keep_freed_memory()
    return serve(service)


def check_store(settings: Settings) -> int:
    """Look at the store of a configuration that is valid in itself; the answer is the exit code."""
    try:
        is_kept = not settings.store.url or examine_bucket(settings)
    except Failure as failure:
        print(f"store.url = {settings.store.url}: {failure}", file=sys.stderr)  # noqa: T201 - the answer to --check-config
        return 2
    if not is_kept:
        print(f"store.url = {settings.store.url}: {NO_CONDITIONS}", file=sys.stderr)  # noqa: T201 - likewise
    print("The configuration is valid.")  # noqa: T201 - likewise
    return 0
