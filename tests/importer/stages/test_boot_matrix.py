"""Whatever a disk is packed in and whatever format it has, what becomes of it boots."""

import shutil
from pathlib import Path

import pytest

from tests.importer.stages.boot_matrix import DOZEN, FORMATS, PACKINGS, prove

NEEDED = ("qemu-img", "qemu-system-x86_64")


@pytest.mark.skipif(not all(map(shutil.which, NEEDED)), reason="QEMU is not installed")
async def test_every_packing_and_every_format_boots(tmp_path: Path) -> None:
    """The result is the disk that was published, up to its last sector; for all pairs: `make boot-matrix`."""
    assert ({packing for packing, _ in DOZEN}, {form for _, form in DOZEN}) == (set(PACKINGS), set(FORMATS))
    found = await prove(tmp_path, DOZEN)
    assert found == dict.fromkeys(DOZEN, "boots")
