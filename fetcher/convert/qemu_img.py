"""Conversions by `qemu-img`, of files that are complete, behind walls."""

import os
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fetcher.convert.sandbox import Ended, Rules, Walls, run
from fetcher.errors import ConversionFailed, ConversionUnavailable, Shortage, VirtualSizeExceeded

GIB = 1 << 30
DRIVERS = {
    "raw": "raw",
    "iso": "raw",
    "qcow2": "qcow2",
    "vmdk": "vmdk",
    "vdi": "vdi",
    "vhd": "vpc",
    "vhdx": "vhdx",
    "ploop": "parallels",
}
"""qemu's names of the Image API's formats."""
TARGETS = {"raw": ["-O", "raw"], "qcow2": ["-O", "qcow2"]}
PACKED = ["-c", "-o", "compression_type=zstd"]
BASE_CPU_SECONDS, CPU_SECONDS_PER_GIB = 60, 90
MEMORY_BYTES = 1 << 30  # With less than 384 MiB qemu-img aborts.
SPARE_BYTES = 64 << 20  # Tables of the result, and rounding.
NO_THREAD = "qemu_thread_create"  # What qemu writes before it aborts, whatever it was given to convert.
PROGRESS = re.compile(rb"\(\s*([0-9.]+)/100%\)")


async def convert_staged(  # noqa: PLR0913 # given by name
    source: Path,
    target: Path,
    *,
    disk_format: str,
    target_format: str,
    virtual_bytes: int,
    walls: Walls,
    is_packed: bool = False,
    on_progress: Callable[[float], None] = lambda _share: None,
    is_wanted: Callable[[], bool] = lambda: True,
) -> None:
    """Convert a file; nothing but it and the result is in reach of `qemu-img`.

    A conversion that fails or is cancelled leaves no file behind.

    Args:
        source: A complete image that the format guard has passed.
        target: The result; must not exist.
        disk_format: What the image is, by the Image API's names: nothing is guessed.
        target_format: raw or qcow2.
        virtual_bytes: The size of its disk, as the format guard read it; bounds time and room.
        is_packed: Whether the clusters of a qcow2 are to be compressed, with zstd.
        on_progress: Called with the share that is done, from 0 to 1.
        is_wanted: Whether to go on; asked with each progress.

    Raises:
        ConversionFailed: qemu-img refused the image, crashed on it, or took too long.
        ConversionUnavailable: There is no qemu-img, or no wall stands.
        Shortage: The machine has no thread left for qemu-img.
        VirtualSizeExceeded: The result is larger than the image said.
    """
    walls.check()
    program = _program()
    driver = DRIVERS.get(disk_format)
    if driver is None or target_format not in TARGETS:
        raise ConversionFailed(format=disk_format, target=target_format, reason="this is not supported")
    source, target = _real(source, target)
    rules = _rules(source, target, virtual_bytes)
    packed = PACKED if is_packed and target_format == "qcow2" else []
    command = [program, "convert", "-p", "-f", driver, *TARGETS[target_format], *packed]
    line = [*command, str(source), str(target)]
    with _made(target):
        ended = await run(line, rules, walls, listen=_progress(on_progress), is_wanted=is_wanted)
        _check(ended, disk_format, target_format)
        if target_format == "raw" and target.stat().st_size > virtual_bytes + SPARE_BYTES:
            raise VirtualSizeExceeded(max_virtual_bytes=virtual_bytes, virtual_bytes=target.stat().st_size)


@contextmanager
def _made(target: Path) -> Iterator[None]:
    """Make the result's file, which goes again unless all ends well."""
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    try:
        yield
    except BaseException:
        with suppress(OSError):
            target.unlink()
        raise


def _rules(source: Path, target: Path, virtual_bytes: int) -> Rules:
    """Return what a conversion may touch and cost, by the size of the disk."""
    return Rules(
        read=(source,),
        write=(target,),
        cpu_seconds=BASE_CPU_SECONDS + CPU_SECONDS_PER_GIB * -(-virtual_bytes // GIB),
        memory_bytes=MEMORY_BYTES,
        file_bytes=virtual_bytes + virtual_bytes // 64 + SPARE_BYTES,
    )


def _real(source: Path, target: Path) -> tuple[Path, Path]:
    """Return the real paths, which the walls go by, and which no driver takes for a protocol."""
    return source.resolve(strict=True), target.parent.resolve(strict=True) / target.name


def _program() -> str:
    found = shutil.which("qemu-img")
    if found is None:
        raise ConversionUnavailable(reason="qemu-img is not installed")
    return os.path.realpath(found)


def _progress(on_progress: Callable[[float], None]) -> Callable[[bytes], None]:
    def listen(output: bytes) -> None:
        if shares := PROGRESS.findall(output):
            with suppress(ValueError):
                on_progress(float(shares[-1]) / 100)

    return listen


def _check(ended: Ended, disk_format: str, target_format: str) -> None:
    """Raise what a run that failed means; its own words name our paths, so they are for the log."""
    if ended.code == 0:
        return
    if NO_THREAD in ended.errors:
        raise Shortage(reason="qemu-img could not start a thread")
    reason = "qemu-img refused it"
    if ended.code in (-signal.SIGXCPU, -signal.SIGKILL):
        reason = "it took more processor time or memory than its size allows, or was stopped"
    elif ended.has_crashed:
        reason = "qemu-img crashed on it, so it is malformed"
    failure = ConversionFailed(format=disk_format, target=target_format, reason=reason)
    failure.add_note(ended.errors)
    raise failure
