"""The command that takes a disk out of what it was published in."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from fetcher.api.submit.words import exact_words
from fetcher.cli.choices import AsJson, ConfigFile
from fetcher.cli.exits import Exit
from fetcher.cli.machine.converting import judge, refuse
from fetcher.cli.machine.inspecting import ACCEPTED, Examiner
from fetcher.cli.screen import Screen
from fetcher.config import Settings, load_settings
from fetcher.convert.sink import RawSink
from fetcher.convert.streaming import WriteAt
from fetcher.errors import Failure
from fetcher.guards import Chain, GuardContext, Purpose
from fetcher.guards.stream.formats import Inspection
from fetcher.importer import verdict_of
from fetcher.importer.receive.unpacking import limits_of
from fetcher.model import Submission, Verdict
from fetcher.unpack import HEAD_BYTES, Unpacker, plain, recognise

READ_BYTES = 1_048_576
PACKED = frozenset(
    ".gz .xz .zst .zstd .bz2 .lz4 .zip .tar .tgz .txz .tzst .tbz .tbz2 .ova .box".split()  # noqa: SIM905 - a list of words reads better as one line
)


def unpack(  # noqa: PLR0913 # one for each choice on the command line
    file: Path,
    target: Path | None = None,
    *,
    disk: str | None = None,
    disk_format: Annotated[str | None, Parameter(name=["--disk-format", "--format"])] = None,
    config: ConfigFile = None,
    json: AsJson = False,
) -> Exit:
    """Take the disk out of .xz, .gz, .zst, .tar, .zip, .ova and the like, as an import does.

    What comes out is judged as in an import. The exit code is 0 when the disk is there, 3 when it was
    refused; then there is none.

    Args:
        file: What was published; it is only read.
        target: The disk, which must not exist; by default FILE without the suffixes of its packing, with that
            of the disk's format.
        disk: Which disk of several, by its name or by its number from 1.
        disk_format: What the disk is said to be; by default that is found out.
        config: The operator's file, laid over `config.toml` key by key.
        json: Print one JSON document instead of words.
    """
    screen = Screen(as_json=json)
    with file.open("rb") as opened:
        is_packed = recognise(opened.read(HEAD_BYTES)) is not None
    if not is_packed:
        _, verdict = judge(file, config, disk_format)
        if verdict is not ACCEPTED:
            return refuse(screen, file, verdict)
        raise ValueError(f"{file} is not packed; nothing needs to be unpacked")
    if target is not None and target.exists():
        raise ValueError(f"{target} exists; name another file for the disk, or remove it")
    work = _Work(file, load_settings(config), disk, disk_format)
    try:
        verdict = work.run()
        found = work.found
        if verdict is not ACCEPTED or found is None:
            return refuse(screen, file, verdict)
        target = target or _target_of(file, found)
        if target.exists():
            raise ValueError(f"{target} exists; name another file for the disk, or remove it")
        work.path.rename(target)
    finally:
        work.path.unlink(missing_ok=True)
    _show(screen, target, found, work)
    return Exit.OK


class _Work:
    """The unpacking of one file into another beside it.

    Attributes:
        path: Where the disk is written.
        found: What it is, once all of it was judged.
        digests: SHA-256 of what was received, and of the disk.
    """

    def __init__(self, file: Path, settings: Settings, disk: str | None, disk_format: str | None) -> None:
        self.file = file
        self.path = file.with_name(f"{file.name}.{os.getpid()}.unpacking")
        self.found: Inspection | None = None
        most = settings.size.max_bytes
        self.unpacker = Unpacker(limits=limits_of(settings, most), disk=disk)
        claims = Submission(url="", disk_format=disk_format, max_bytes=most)
        context = GuardContext(purpose=Purpose.CONVERT, settings=settings, submission=claims)
        self._examiner = Examiner(Chain(context).guards)
        self.digests = (hashlib.sha256(), hashlib.sha256())

    def run(self) -> Verdict:
        """Write the disk, and return the verdict on it."""
        sink = RawSink(self.path, self.path.with_suffix(".kept"))
        size = 0
        try:
            for piece in self._pieces():
                self._examiner.feed(piece)
                if self._examiner.verdict is not ACCEPTED:
                    return self._examiner.verdict
                self.digests[1].update(piece)
                sink.take(WriteAt(size, piece))
                size += len(piece)
            sink.finish(size)
        except Failure as failure:
            return verdict_of(failure)
        finally:
            sink.close()
        self.found = self._examiner.finish()
        return self._examiner.verdict

    def _pieces(self) -> Iterator[bytes]:
        with self.file.open("rb") as opened:
            while chunk := opened.read(READ_BYTES):
                self.digests[0].update(chunk)
                for piece in self.unpacker.feed(chunk):
                    yield bytes(plain(piece))
        for piece in self.unpacker.finish():
            yield bytes(plain(piece))


def _target_of(file: Path, found: Inspection) -> Path:
    """Return where a disk goes by default: disk.qcow2.xz becomes disk.qcow2, vm.ova becomes vm.vmdk."""
    stem = file
    while stem.suffix.lower() in PACKED:
        stem = stem.with_suffix("")
    suffix = f".{found.disk_format or 'raw'}"
    return stem if stem != file and stem.suffix.lower() == suffix else stem.with_name(stem.name + suffix)


def _show(screen: Screen, target: Path, found: Inspection, work: _Work) -> None:
    evidence = work.unpacker.evidence
    packed, disk = (digest.hexdigest() for digest in work.digests)
    if screen.as_json:
        screen.json(
            {
                "target": str(target),
                "plan": str(work.unpacker.plan),
                "format": found.disk_format or "raw",
                "virtual_bytes": found.virtual_bytes or found.seen_bytes,
                "bytes": found.seen_bytes,
                "skipped": evidence.skipped,
                "properties": evidence.properties,
                "sha256": {"received": packed, "disk": disk},
            }
        )
        return
    screen.say(f"{target}: {found.name}, taken out of {work.unpacker.plan}.", "green")
    screen.facts(
        [
            ("size", exact_words(found.seen_bytes)),
            ("disk", exact_words(found.virtual_bytes or found.seen_bytes)),
            ("sha256 of what was received", packed),
            ("sha256 of the disk", disk),
            *((name, value) for name, value in evidence.properties.items()),
        ]
    )
