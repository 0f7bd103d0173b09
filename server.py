"""Start the service: `python server.py [--config FILE] [--listen HOST:PORT]`."""

import logging
import sys

from fetcher.interpreter import lean_imports
from fetcher.systemd import outlast_reloads

outlast_reloads()
with lean_imports():
    from fetcher.start.command import main

if __name__ == "__main__":
    logging.raiseExceptions = False
    sys.exit(main(loading=lean_imports))
