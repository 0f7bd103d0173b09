"""What others make of the same bytes: oslo.utils' inspector, qemu-img and libmagic."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

from oslo_utils.imageutils import format_inspector

CHUNK = 65_536
ADDRESS_SPACE, SECONDS = 1 << 30, 5


class Opinion(NamedTuple):
    """What a peer says.

    Args:
        format: Its own name for it; `several` where it says so, `error` where it fails.
        is_accepted: Whether it would let the image pass.
    """

    format: str
    is_accepted: bool


def oslo(file: Path) -> Opinion:
    """Ask the inspector that OpenStack's services share, as they ask it."""
    with file.open("rb") as stream:
        wrapper = format_inspector.InspectWrapper(stream)
        while wrapper.read(CHUNK):
            pass
        wrapper.close()
    names = sorted(found.NAME for found in wrapper.formats or ())
    if len(names) > 1 and names != ["gpt", "iso"]:
        return Opinion("several", False)
    inspector = next(found for found in wrapper.formats or () if found.NAME in ("iso", names[0]))
    try:
        inspector.safety_check()
    except format_inspector.SafetyCheckFailed:
        return Opinion(inspector.NAME, False)
    except Exception:  # noqa: BLE001 # whatever it stumbles over, its caller sees a failure
        return Opinion("error", False)
    return Opinion(inspector.NAME, True)


def has_qemu_img() -> bool:
    """Answer whether qemu-img can be asked."""
    return shutil.which("qemu-img") is not None


def qemu_img(file: Path, driver: str | None = None) -> Opinion:
    """Ask qemu-img's probe, or one of its drivers; with little memory and time."""
    command = ["prlimit", f"--as={ADDRESS_SPACE}", f"--cpu={SECONDS}", "qemu-img", "info", "--output=json"]
    named = [*command, *(["-f", driver] if driver else []), str(file)]
    done = subprocess.run(named, check=False, capture_output=True, text=True, timeout=60, cwd=file.parent)
    if done.returncode:
        return Opinion("error", False)
    return Opinion(str(json.loads(done.stdout)["format"]), True)


def libmagic(file: Path) -> Opinion:
    """Ask libmagic for a media type; it has no notion of what is safe."""
    import magic  # The benchmark alone asks it; the suite runs where Debian's libmagic1 is missing.

    with file.open("rb") as stream:
        return Opinion(magic.from_buffer(stream.read(CHUNK), mime=True), True)


class Decision(NamedTuple):
    """Why we differ from a peer on some samples; the specification decided.

    Args:
        peer: Whom we differ from.
        we_accept: Whether we accept what it refuses, or refuse what it accepts.
        formats: Ours for the samples that this is about.
        why: For people.
    """

    peer: str
    we_accept: bool
    formats: frozenset[str]
    why: str


def _decide(peer: str, formats: str, why: str, *, we_accept: bool = False) -> Decision:
    return Decision(peer, we_accept, frozenset(formats.split()), why)


PACKED = "gzip xz bzip2 zstd lz4 zip 7z"
DECISIONS: tuple[Decision, ...] = (
    _decide(
        "oslo.utils",
        "qcow2",
        "It looks at the backing file's offset, the data file's bit and unknown features. The backing "
        "file's length, the data file's name, encryption, header lengths, extensions and tables are "
        "fields of the specification like those, and an image that lies in them is damaged or hostile.",
    ),
    _decide(
        "oslo.utils",
        "vmdk",
        "It goes by the first type and by paths with a slash. Parents, a second type or extent, other "
        "separators, a header without a size (which makes the descriptor decide) and tables outside "
        "the file are not looked at; COWD is taken for raw.",
    ),
    _decide(
        "oslo.utils",
        "vmdk-descriptor",
        "It takes a descriptor for raw if it is not ASCII or padded with zeros, as qemu-img itself pads "
        "it; qemu opens all of these as VMDK, and with them the files that they name.",
    ),
    _decide(
        "oslo.utils",
        "vdi vhd vhdx",
        "It goes by the magic and reads the size. Parents and differencing disks, logs to be replayed, "
        "checksums, required parts that nobody knows and tables outside the file are not looked at; a "
        "fixed VHD is raw to it.",
    ),
    _decide(
        "oslo.utils",
        f"parallels ova tar dmg bochs cloop cow iso gpt ambiguous {PACKED}",
        "What it has no inspector for is raw to it, whatever is inside or behind it; of discs and "
        "partition tables it does not compare what they say with the length of the file.",
    ),
    _decide(
        "oslo.utils",
        "html xml store-error json text pdf image media program efi-program empty luks unknown "
        "zip-end uimage",
        "Pages, texts, programs, single bytes and nothing at all are raw to it. LUKS is a disk_format "
        "of its own to it; here it is none, because an instance cannot boot from an encrypted volume.",
    ),
    _decide(
        "oslo.utils",
        "qcow2",
        "Extended L2 entries are bit 4 of the specification since QEMU 5.2, and change nothing about safety.",
        we_accept=True,
    ),
    _decide(
        "oslo.utils",
        "gpt filesystem boot kernel iso",
        "It takes every boot signature for a protective MBR, and refuses boot sectors without "
        "partitions, or with CHS fields and flags that boot code does not read.",
        we_accept=True,
    ),
    _decide(
        "qemu-img",
        "qcow2 vmdk vmdk-descriptor",
        "It opens what an image names: that is its work, and the reason for this guard. Lies in tables "
        "show only when a cluster is read.",
    ),
    _decide(
        "qemu-img",
        "vdi vhd vhdx parallels",
        "It opens read-only what it would have to repair, ignores types and parents that it does not "
        "know, and notices tables outside the file only when a block is read; a fixed VHD is raw to it.",
    ),
    _decide(
        "qemu-img",
        f"iso gpt ova tar dmg bochs cloop cow ambiguous luks {PACKED} "
        "html xml store-error json text pdf image media program efi-program empty unknown zip-end uimage",
        "Whatever none of its drivers probes is raw to it.",
    ),
    _decide("qemu-img", "qcow qed", "Formats of its own that no disk_format stands for."),
)
