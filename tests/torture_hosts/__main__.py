"""`python -m tests.torture_hosts`: the answer is 1 when anything did not hold."""

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.torture_hosts.torture import HostsTorture


def main() -> int:
    """Torture four hosts in a temporary folder."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--store", choices=["bucket", "folder"], default="bucket")
    parser.add_argument("--minutes", type=float, default=120, help="of trouble, at most")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="torture-hosts-"))
    began = time.monotonic()
    torture = HostsTorture(folder, options.seed, options.store)
    asyncio.run(torture.run(options.kills, 60 * options.minutes))
    report = {"seed": options.seed, "seconds": round(time.monotonic() - began), **torture.report()}
    sys.stdout.write(json.dumps(report, indent=2) + "\n")
    if torture.violations:
        sys.stdout.write(f"kept for a look: {folder}\n")
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
