"""The format guard measured: what it makes of the corpus beside its peers, and what it costs.

`python bench/formats.py manifest` writes the corpus's manifest anew, to be read before it is kept.
"""

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.guards.formats import corpus  # the tests are found from the project's root only


def write_manifest() -> None:
    """Write what the guard makes of every sample now; rows of samples that cannot be made here stay."""
    known = {row.sample: [] for row in corpus.rows()} if corpus.MANIFEST.exists() else {}
    for row in corpus.rows() if known else ():
        known[row.sample].append(row)
    lines = ["sample\torigin\tclaim\tformat\tverdict\trule"]
    with tempfile.TemporaryDirectory() as folder:
        for name in corpus.NAMES:
            found = list(corpus.judge(name, Path(folder))) or known.get(name, [])
            lines += ["\t".join(vars(row).values()) for row in found]
    corpus.MANIFEST.write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    write_manifest()
