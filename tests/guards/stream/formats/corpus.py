"""The corpus: every sample by its name, and the manifest of what each is and what has to become of it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fetcher.errors import Failure
from fetcher.guards.stream.formats import FormatGuard, Inspector
from tests.guards.stream.formats.build import iso as disc
from tests.guards.stream.formats.build import parallels, qcow2, vdi, vhd, vhd_fixed, vhdx, vmdk, vmdk_stream
from tests.guards.stream.formats.hostile_disks import HOSTILE_DISKS
from tests.guards.stream.formats.hostile_ova import OVAS
from tests.guards.stream.formats.hostile_packed import PACKED
from tests.guards.stream.formats.others import OTHERS, SEVERAL
from tests.guards.stream.formats.tools import TOOL_SAMPLES
from tests.guards.stream.formats.truth import truth_of

MANIFEST = Path(__file__).with_name("manifest.tsv")
DISK_FORMATS = ("raw", "qcow2", "vmdk", "vdi", "vhd", "vhdx", "iso", "ploop", "ami", "ari", "aki")
CONTAINER_FORMATS = ("bare", "ova", "ami", "ari", "aki", "compressed")
MAX_VIRTUAL_BYTES = 1 << 40
CHUNK = 65_536

VALID: dict[str, Callable[[], bytes]] = {
    "good-qcow2": qcow2,
    "good-qcow2-v2": lambda: qcow2(version=2),
    "good-qcow2-512": lambda: qcow2(bits=9, size=65_536),
    "good-qcow2-2m": lambda: qcow2(bits=21),
    "good-qcow2-subclusters": lambda: qcow2(extended=True),
    "good-vmdk": vmdk,
    "good-vmdk-stream": vmdk_stream,
    "good-vdi": vdi,
    "good-vdi-fixed": lambda: vdi(kind=2),
    "good-vhd": vhd,
    "good-vhd-fixed": lambda: vhd_fixed(bytes(1 << 20)),
    "good-vhdx": vhdx,
    "good-vhdx-blocks-first": lambda: vhdx(blocks_first=True),
    "good-parallels": parallels,
    "good-parallels-old": lambda: parallels(magic=b"WithoutFreeSpace"),
    "good-iso": disc,
}
BUILT: dict[str, Callable[[], bytes]] = {**VALID, **HOSTILE_DISKS, **OVAS, **PACKED, **SEVERAL, **OTHERS}
NAMES = (*BUILT, *TOOL_SAMPLES)


@dataclass(frozen=True)
class Row:
    """One line of the manifest.

    Args:
        sample: Its name.
        origin: What made it: `built`, a tool, a Debian package.
        truth: What it is, said by hand: `honest`, `unsafe`, `no image`.
        claim: `-`, `disk_format` or `disk_format/container_format`.
        format: What it is, by our key.
        verdict: `disk_format/container_format` if accepted, else the code of the refusal.
        rule: The rule that it breaks, or what it was found to be; `-` if neither.
    """

    sample: str
    origin: str
    truth: str
    claim: str
    format: str
    verdict: str
    rule: str

    @property
    def is_accepted(self) -> bool:
        """Answer whether it may become an image."""
        return "/" in self.verdict


@cache
def rows() -> tuple[Row, ...]:
    """Read the manifest."""
    lines = MANIFEST.read_text("utf-8").splitlines()
    return tuple(Row(*line.split("\t")) for line in lines[1:])


def origin(name: str) -> str:
    """Return what makes a sample."""
    return TOOL_SAMPLES[name].origin if name in TOOL_SAMPLES else "built"


def path_of(name: str, folder: Path) -> Path | None:
    """Return a sample as a file, made where it is not there yet; None where what makes it is missing."""
    if name in TOOL_SAMPLES:
        return TOOL_SAMPLES[name].make(folder) if TOOL_SAMPLES[name].is_available else None
    file = folder / name
    if not file.exists():
        file.write_bytes(BUILT[name]())
    return file


def cut(content: bytes, size: int = CHUNK) -> Iterator[bytes]:
    """Cut a stream into chunks."""
    for at in range(0, len(content), size):
        yield content[at : at + size]


def new_guard(claim: str = "-", *, max_bytes: int | None = None) -> FormatGuard:
    """Make a guard that accepts everything there is a name for."""
    disk, _, container = claim.partition("/")
    return FormatGuard(
        disk_formats=DISK_FORMATS,
        container_formats=CONTAINER_FORMATS,
        max_virtual_bytes=MAX_VIRTUAL_BYTES,
        claimed_disk_format=None if disk == "-" else disk,
        claimed_container_format=container or None,
        name_content=lambda _: None,
        max_bytes=max_bytes,
    )


def verdict_of(guard: FormatGuard, chunks: Iterator[bytes] | list[bytes]) -> tuple[str, str]:
    """Return the verdict and the rule of a stream, as the manifest writes them."""
    try:
        for chunk in chunks:
            guard.feed(chunk)
        guard.finish()
    except Failure as refusal:
        fields = refusal.fields()
        what = fields.get("rule") or fields.get("found") or "-"
        return refusal.code, " + ".join(what) if isinstance(what, list) else str(what)
    assert guard.verdict is not None
    return f"{guard.verdict.disk_format}/{guard.verdict.container_format}", "-"


def inspected(content: bytes, size: int = CHUNK) -> Inspector:
    """Return an inspector that has seen the whole."""
    inspector = Inspector()
    for chunk in cut(content, size):
        inspector.feed(chunk)
    inspector.finish()
    return inspector


def broken_rules(content: bytes) -> set[str]:
    """Return the rules that an image breaks."""
    return {finding.rule for finding in inspected(content).report().findings}


def claims_for(kind: str, name: str) -> tuple[str, ...]:
    """Return the claims under which a sample is judged: none, the right one, and wrong ones."""
    own = {
        "gpt": "raw",
        "mbr": "raw",
        "boot": "raw",
        "apm": "raw",
        "label": "raw",
        "filesystem": "ami",
        "hfs": "raw",
    }
    own |= {
        "parallels": "ploop",
        "kernel": "aki",
        "elf": "aki",
        "cpio": "ari",
        "udf": "iso",
        "ova": "vmdk/ova",
    }
    own |= {"ova": "vmdk/ova", "vmdk-descriptor": "vmdk"}
    if kind in ("gzip", "xz", "bzip2", "zstd", "lz4", "zip", "7z"):
        kernels = ("aki",) if "kernel" in name else ()
        return ("-", "raw", "raw/compressed", "qcow2/compressed", "ari", "raw/bare", *kernels)
    right = own.get(kind, kind if kind in DISK_FORMATS else "qcow2")
    if name in ("uimage-script", "uimage-damaged"):
        return ("-", "aki", "ari")
    if name in ("zeros", "ones", "noise", "text", "html"):
        return ("-", "raw", "qcow2", "vhd", "ami", "raw/compressed")
    fixed = ("vhd",) if "vhd" in name else ()
    return tuple(dict.fromkeys(("-", right, "raw", *fixed)))


def judge(name: str, folder: Path) -> Iterator[Row]:
    """Yield what the guard makes of a sample now, under each of its claims."""
    file = path_of(name, folder)
    if file is None:
        return
    content = file.read_bytes()
    kind = inspected(content).report().format
    for claim in claims_for(kind, name):
        verdict, rule = verdict_of(new_guard(claim), cut(content))
        yield Row(name, origin(name), truth_of(name), claim, kind, verdict, rule)
