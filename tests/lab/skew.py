"""A process whose clock of the day is wrong."""

import shutil
import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_name("skew.c")


def environment(folder: Path, seconds: int) -> dict[str, str]:
    """The environment of a process whose clock is ahead by so much; nothing without a compiler."""
    library = folder / "skew.so"
    compiler = shutil.which("cc")
    if compiler is None:
        return {}
    subprocess.run([compiler, "-shared", "-fPIC", "-w", "-o", library, SOURCE, "-ldl"], check=True)
    return {"LD_PRELOAD": str(library), "SKEW_SECONDS": str(seconds)}
