"""Third-party images out of Debian source packages, where `scripts/corpus-debian.sh` has fetched them."""

from pathlib import Path

import pytest

from tests.guards.stream.formats import corpus, peers
from tests.guards.stream.formats.corpus import cut, new_guard, verdict_of

FOLDER = Path(__file__).parents[4] / "build" / "corpus-debian"
MANIFEST = Path(__file__).with_name("manifest_debian.tsv")
ROWS = [line.split("\t") for line in MANIFEST.read_text("utf-8").splitlines()[1:]]
DRIVERS = {"vhd": "vpc", "iso": "raw", "ploop": "parallels"}

if not FOLDER.is_dir():
    pytest.skip("scripts/corpus-debian.sh has not been run", allow_module_level=True)


@pytest.mark.parametrize(("name", "kind", "verdict", "rule"), ROWS, ids=[row[0] for row in ROWS])
def test_third_party_image_is_judged(name: str, kind: str, verdict: str, rule: str) -> None:
    """Images that other projects keep for their own tests are what they are, and pass or not as stated."""
    file = FOLDER / name
    if not file.exists():
        pytest.skip("not in this version of the package")
    content = file.read_bytes()
    assert corpus.inspected(content).report().format == kind
    for size in (4_096, 1 << 20):
        assert verdict_of(new_guard(), cut(content, size)) == (verdict, rule)
    disk = verdict.partition("/")[0]
    if verdict.endswith("/bare") and peers.has_qemu_img():
        assert peers.qemu_img(file, DRIVERS.get(disk, disk)).is_accepted
