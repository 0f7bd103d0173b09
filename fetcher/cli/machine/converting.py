"""The commands that make a disk image into one that boots elsewhere, and that prove that it boots."""

import asyncio
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from cyclopts import Parameter

from fetcher.api.submit.words import exact_words
from fetcher.cli.choices import AsJson, ConfigFile
from fetcher.cli.exits import Exit
from fetcher.cli.machine.inspecting import ACCEPTED, Examiner
from fetcher.cli.screen import Screen
from fetcher.config import load_settings
from fetcher.convert.boot import BootProof, verify_boot
from fetcher.convert.files import Converted, Job, convert_file
from fetcher.convert.sandbox import probe_walls
from fetcher.guards import Chain, GuardContext, Purpose
from fetcher.guards.stream.formats import Inspection
from fetcher.guards.stream.formats.report import Role
from fetcher.model import Submission, Verdict

READ_BYTES = 1_048_576
DISKS = ("raw", "qcow2", "vmdk", "vdi", "vhd", "vhdx", "ploop", "iso")
Target = Literal["raw", "qcow2"]
UNPACKED = (Role.PACKED, Role.ARCHIVE, Role.BUNDLE)
EXIT_OF_PROOF = {"boots": Exit.OK, "does-not-boot": Exit.REFUSED, "undecided": Exit.FAILED}


def convert(  # noqa: PLR0913 # one for each choice on the command line
    file: Path,
    target: Path | None = None,
    *,
    to: Target = "raw",
    disk_format: Annotated[str | None, Parameter(name=["--disk-format", "--format"])] = None,
    config: ConfigFile = None,
    json: AsJson = False,
) -> Exit:
    """Convert a disk image, in one pass where its bytes allow it, else by qemu-img in a sandbox.

    The image is judged before it is touched, and so is the result. The exit code is 0 when the result is
    there, 3 when the image was refused; then there is no result.

    Args:
        file: The image; it is only read.
        target: The result, which must not exist; by default FILE with the new format as its suffix.
        to: What to make of it: raw or qcow2.
        disk_format: What the image is said to be; by default that is found out.
        config: The operator's file, laid over `config.toml` key by key.
        json: Print one JSON document instead of words.
    """
    screen = Screen(as_json=json)
    target = target or file.with_suffix(f".{to}")
    if target.exists():
        raise ValueError(f"{target} exists; name another file for the result, or remove it")
    found, verdict = judge(file, config, disk_format)
    if verdict is not ACCEPTED:
        return refuse(screen, file, verdict)
    job = Job(
        source=file,
        target=target,
        disk_format=_disk_format(file, found, disk_format),
        target_format=to,
        virtual_bytes=found.virtual_bytes or found.seen_bytes,
    )
    if job.disk_format == "iso":
        raise ValueError(f"{file} is a disc, which stays what it is; nothing needs to be converted")
    if job.disk_format == to:
        raise ValueError(f"{file} is {to} already; nothing needs to be converted")
    done = asyncio.run(convert_file(job))
    _, verdict = judge(target, config, to)
    if verdict is not ACCEPTED:
        target.unlink(missing_ok=True)
        return refuse(screen, target, verdict)
    _show_result(screen, job, done)
    return Exit.OK


def verify_boot_command(  # noqa: PLR0913 # one for each choice on the command line
    image: Path,
    *,
    disk_format: Annotated[str | None, Parameter(name=["--disk-format", "--format"])] = None,
    marker: str | None = None,
    seconds: float = 60.0,
    config: ConfigFile = None,
    json: AsJson = False,
) -> Exit:
    """Boot an image in a virtual machine without network and watch its serial port.

    The image is only read. The exit code is 0 when it boots, 3 when the firmware finds nothing to boot, 4
    when neither was seen in time.

    Args:
        image: A disk image or an ISO.
        disk_format: What it is; by default that is found out.
        marker: Text that has to appear; by default any text of the image's own boot code is enough.
        seconds: How long to wait for it.
        config: The operator's file, laid over `config.toml` key by key.
        json: Print one JSON document instead of words.
    """
    screen = Screen(as_json=json)
    found, verdict = judge(image, config, disk_format)
    if verdict is not ACCEPTED:
        return refuse(screen, image, verdict)
    proof = asyncio.run(_verify(image, _disk_format(image, found, disk_format), marker, seconds))
    if screen.as_json:
        screen.json(
            {
                "image": str(image),
                "verdict": proof.verdict,
                "reason": proof.reason,
                "console": proof.console,
            }
        )
    else:
        style = "green" if proof.verdict == "boots" else "red"
        screen.say(f"{image}: {proof.verdict.replace('-', ' ')}; {proof.reason}.", style)
        if proof.verdict != "boots" and proof.console:
            for line in _printable(proof.console[-2_000:]).splitlines():
                screen.say(line)
    return EXIT_OF_PROOF[proof.verdict]


async def _verify(image: Path, disk_format: str, marker: str | None, seconds: float) -> BootProof:
    walls = await probe_walls()
    return await verify_boot(image, disk_format=disk_format, walls=walls, marker=marker, seconds=seconds)


def judge(file: Path, config: Path | None, disk_format: str | None) -> tuple[Inspection, Verdict]:
    """Look at a file as an import would."""
    settings = load_settings(config)
    claims = Submission(url="", disk_format=disk_format, max_bytes=settings.size.max_bytes)
    context = GuardContext(purpose=Purpose.CONVERT, settings=settings, submission=claims)
    examiner = Examiner(Chain(context).guards)
    with file.open("rb") as opened:
        while chunk := opened.read(READ_BYTES):
            examiner.feed(chunk)
    return examiner.finish(), examiner.verdict


def _disk_format(file: Path, found: Inspection, claimed: str | None) -> str:
    """Return what an image is that was accepted: raw disks without any sign are what they are said to be."""
    disk_format = found.disk_format or claimed
    if disk_format not in DISKS:
        way = f"; take the disk out of it: fetcher unpack {file}" if found.role in UNPACKED else ""
        raise ValueError(f"{file} is {found.words}, not a disk image{way}")
    return disk_format


def refuse(screen: Screen, file: Path, verdict: Verdict) -> Exit:
    """Tell why a file is refused, and what to do."""
    if screen.as_json:
        screen.json({"error": msgspec.to_builtins(verdict)})
    else:
        screen.say(f"{file} is refused: {verdict.title}", "red")
        screen.say(verdict.advice)
    return Exit.REFUSED


def _show_result(screen: Screen, job: Job, done: Converted) -> None:
    size = job.target.stat()
    if screen.as_json:
        screen.json(
            {
                "target": str(job.target),
                "format": job.target_format,
                "way": done.way,
                "why": done.why,
                "virtual_bytes": job.virtual_bytes,
                "allocated_bytes": size.st_blocks * 512,
            }
        )
        return
    how = "in one pass" if done.way == "one-pass" else f"by qemu-img in a sandbox, because {done.why}"
    screen.say(f"{job.target}: {job.target_format}, converted {how}.", "green")
    screen.facts([("disk", exact_words(job.virtual_bytes)), ("takes", exact_words(size.st_blocks * 512))])


def _printable(text: str) -> str:
    return "".join(sign for sign in text if sign.isprintable() or sign == "\n")
