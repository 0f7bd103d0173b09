"""Every packing with every format: imported to raw, compared with the disk, and booted.

    python scripts/boot_matrix.py        (make boot-matrix)

The suite boots a dozen of these; all of them take some minutes.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.importer.stages.boot_matrix import ALL, prove


def main() -> None:
    """Print what does not boot, and how many there are."""
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(prove(Path(folder), ALL))
    failed = {case: verdict for case, verdict in found.items() if verdict != "boots"}
    for (packing, form), verdict in failed.items():
        print(f"{form} in {packing}: {verdict}")
    print(f"{len(found) - len(failed)} of {len(found)} boot")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
