"""Start the service: `python server.py [--config FILE] [--listen HOST:PORT]`."""

import logging
import sys

from fetcher.interpreter import fast_imports
from fetcher.systemd import ignore_reloads

ignore_reloads()
with fast_imports():
    from fetcher.start.command import main

if __name__ == "__main__":
    logging.raiseExceptions = False
    sys.exit(main(loading=fast_imports))
