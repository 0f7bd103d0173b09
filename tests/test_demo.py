"""The demo is the first thing that a newcomer runs: it has to work."""

import asyncio
import os
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


async def test_demo_ends_as_it_should(tmp_path: Path) -> None:
    """It imports what is good, refuses what is not, leaves nothing behind, and says so with its exit code."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(ROOT / "demo" / "main.py"), "--rate", "500"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    async with asyncio.timeout(110):
        out, _ = await process.communicate()
    text = out.decode()
    assert process.returncode == 0, text
    assert "byte for byte what the source sent or what it packed; what was refused left no trace" in text
    assert "signed-catalogue" in text or "catalogue-unusable" in text
    assert "digest-mismatch" in text or "is not what was signed" in text
    assert "Read back: the same bytes." in text
    assert "images may not be sent to elsewhere.example" in text
    assert list(tmp_path.iterdir()) == []
