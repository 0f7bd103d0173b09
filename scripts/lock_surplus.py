"""Leave in a lock only what another one does not have: `lock_surplus.py LOCK BASE`."""

import re
import sys
from pathlib import Path


def entries(text: str) -> list[str]:
    """Split a lock into its requirements, each with its hashes."""
    return [entry for entry in re.split(r"\n(?=\S)", text.strip()) if entry]


def main(lock: Path, base: Path) -> None:
    """Rewrite the lock."""
    known = set(entries(base.read_text()))
    added = [entry for entry in entries(lock.read_text()) if entry not in known]
    lock.write_text("".join(f"{entry}\n" for entry in added))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
