"""The service put together from its parts: `python server.py [--config FILE] [--listen HOST:PORT]`."""

import argparse
import sys
from pathlib import Path

from fetcher.config import BadConfig, load_settings


def main(arguments: list[str] | None = None) -> int:
    """Check the configuration or serve it; the answer is the exit code."""
    parser = argparse.ArgumentParser(prog="server.py", description="Submit a URL, get an image.")
    parser.add_argument("--config", type=Path, metavar="FILE", help="laid over config.toml key by key")
    parser.add_argument("--check-config", action="store_true", help="list every mistake of the file and exit")
    options = parser.parse_args(arguments)
    try:
        load_settings(options.config)
    except BadConfig as error:
        for mistake in error.mistakes:
            print(mistake, file=sys.stderr)  # noqa: T201 - the answer to --check-config
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
