"""The format guard as a whole: claims, verdicts, refusals, and what they say to a person."""

from collections.abc import Sequence

import pytest

from fetcher.config import load_settings
from fetcher.errors import (
    EmptySource,
    Failure,
    FormatAmbiguous,
    FormatMismatch,
    FormatUnknown,
    FormatUnsafe,
    TooManyBytes,
    VirtualSizeExceeded,
)
from fetcher.guards.stream.formats import FormatGuard
from tests.guards.stream.formats.build import gpt, mbr, parallels, put, qcow2, vhd_fixed, vmdk
from tests.guards.stream.formats.corpus import BUILT, CONTAINER_FORMATS, cut


def new_guard(
    disk: str | None = None,
    container: str | None = None,
    *,
    disk_formats: Sequence[str] = ("raw", "qcow2", "vmdk", "vdi", "vhd", "vhdx", "iso", "ami", "ari", "aki"),
    container_formats: Sequence[str] = CONTAINER_FORMATS,
    max_virtual_bytes: int = 1 << 40,
    max_bytes: int | None = None,
) -> FormatGuard:
    """Make a guard with the settings that ship, unless told otherwise."""
    return FormatGuard(
        disk_formats=disk_formats,
        container_formats=container_formats,
        max_virtual_bytes=max_virtual_bytes,
        claimed_disk_format=disk,
        claimed_container_format=container,
        max_bytes=max_bytes,
    )


def refusal(guard: FormatGuard, stream: bytes) -> Failure:
    """Return what a stream is refused with."""
    with pytest.raises(Failure) as caught:
        feed(guard, stream)
    return caught.value


def feed(guard: FormatGuard, stream: bytes) -> None:
    """Feed a whole stream."""
    for chunk in cut(stream):
        guard.feed(chunk)
    guard.finish()


def said(failure: Failure) -> tuple[str, str]:
    """Return the sentence and the advice, as a person reads them."""
    return str(failure), failure.advice.format(**failure.fields())


def test_no_bytes_are_refused() -> None:
    """An empty source has an error of its own."""
    with pytest.raises(EmptySource):
        new_guard().finish()


SAYINGS = {
    "qcow2 that is gzip": (
        ("qcow2", None, "gz-qcow2"),
        "You said qcow2, but the bytes are a gzip archive.",
        "Decompress it first, or say container_format=compressed.",
    ),
    "qcow2 that is a page": (
        ("qcow2", None, "html"),
        "You said qcow2, but the bytes are an HTML page.",
        (
            "The URL may need a login, or lead to a page about the image: "
            "use a link that downloads the image itself."
        ),
    ),
    "raw that is qcow2": (
        ("raw", None, "good-qcow2"),
        "You said raw, but the bytes are a QCOW2 disk image.",
        (
            "Say disk_format=qcow2, or leave it out so that it is found out from the bytes; or convert it: "
            "`qemu-img convert -f qcow2 -O raw SOURCE TARGET`."
        ),
    ),
    "qcow2 that is raw": (
        ("qcow2", None, "raw-mbr"),
        "You said qcow2, but the bytes are a raw disk with a partition table (MBR).",
        (
            "Say disk_format=raw, or leave it out so that it is found out from the bytes; or convert it: "
            "`qemu-img convert -f raw -O qcow2 SOURCE TARGET`."
        ),
    ),
    "raw that is iso": (
        ("raw", None, "good-iso"),
        "You said raw, but the bytes are an ISO 9660 disc image.",
        "Say disk_format=iso, or leave it out so that it is found out from the bytes.",
    ),
    "vmdk of several files": (
        ("vmdk", None, "vmdk-text-flat"),
        "The vmdk image is not safe: VMDK of type monolithicFlat names other files.",
        (
            "Convert it to one file: "
            "`qemu-img convert -O vmdk -o subformat=streamOptimized SOURCE.vmdk TARGET.vmdk`."
        ),
    ),
    "a foreign format": (
        (None, None, "qed"),
        (
            "The bytes are a QED disk image, which is not accepted here; accepted are: "
            "raw, qcow2, vmdk, vdi, vhd, vhdx, iso, ami, ari, aki."
        ),
        "Convert it: `qemu-img convert -f qed -O qcow2 SOURCE TARGET`.",
    ),
    "a foreign format, claimed": (
        ("qcow2", None, "qcow1"),
        "You said qcow2, but the bytes are a QCOW version 1 disk image.",
        "Convert it: `qemu-img convert -f qcow -O qcow2 SOURCE TARGET`.",
    ),
    "bare that is packed": (
        (None, "bare", "xz-raw"),
        "You said container_format=bare, but the bytes are an xz archive.",
        "Decompress it first, or say container_format=compressed.",
    ),
    "compressed that is not": (
        ("qcow2", "compressed", "good-qcow2"),
        "You said container_format=compressed, but the bytes are a QCOW2 disk image.",
        "Say container_format=bare, or leave it out so that it is found out from the bytes.",
    ),
    "compressed, but something else": (
        ("qcow2", "compressed", "gz-raw"),
        "You said qcow2, but the bytes are a gzip archive of a raw disk with a partition table (MBR).",
        "Say disk_format=raw, or leave it out so that it is found out from the bytes.",
    ),
    "a tar archive": (
        ("raw", None, "tar"),
        "You said raw, but the bytes are a tar archive.",
        "Unpack it and submit the disk image inside; an OVA has its .ovf file first.",
    ),
    "an appliance": (
        ("qcow2", None, "ova-good"),
        "You said qcow2, but the bytes are an OVA appliance.",
        "Say container_format=ova, or unpack it and submit the disk image inside.",
    ),
    "a hidden backing file": (
        (None, None, "gz-backing"),
        "The qcow2 image is not safe: inside a gzip archive, it names a backing file.",
        "Unpack it first. Make a copy without it: `qemu-img convert -O qcow2 SOURCE TARGET`.",
    ),
    "a kernel": (
        (None, None, "kernel-x86"),
        (
            "The bytes are a Linux kernel, which is not accepted here; accepted are: "
            "raw, qcow2, vmdk, vdi, vhd, vhdx, iso, ami, ari, aki."
        ),
        "To keep it as a kernel, say disk_format=aki and container_format=aki.",
    ),
    "noise": (
        ("vmdk", None, "noise"),
        "You said vmdk, but the bytes are unknown data.",
        (
            "Check that the URL leads to the image itself, undamaged. A raw disk without a partition table "
            "or a known file system has to be claimed: disk_format=raw."
        ),
    ),
}


@pytest.mark.parametrize("case", SAYINGS)
def test_refusal_helps(case: str) -> None:
    """A refusal says what the bytes are, and what to do about it."""
    (disk, container, sample), sentence, hint = SAYINGS[case]
    assert said(refusal(new_guard(disk, container), BUILT[sample]())) == (sentence, hint)


def test_refusal_does_not_promise_what_is_off() -> None:
    """Where compressed images are not accepted, nobody is told to say so."""
    guard = new_guard("raw", container_formats=("bare",))
    assert said(refusal(guard, BUILT["gz-raw"]()))[1] == "Decompress it first."
    guard = new_guard(container_formats=("bare",))
    failure = refusal(guard, BUILT["gz-raw"]())
    assert isinstance(failure, FormatUnknown)
    assert failure.allowed == ["bare"]


def test_content_never_comes_back() -> None:
    """What a login page says stays where it is."""
    failure = refusal(new_guard(), b"<!DOCTYPE html><title>Secret</title>")
    assert "Secret" not in str(failure.public_fields())


def test_operator_s_list_is_kept() -> None:
    """A format that is not on the list is refused, though it is sound."""
    failure = refusal(new_guard(disk_formats=("qcow2",)), mbr())
    assert isinstance(failure, FormatUnknown)
    assert failure.hint == "Convert it: `qemu-img convert -f raw -O qcow2 SOURCE TARGET`."
    assert isinstance(refusal(new_guard("raw", disk_formats=("iso",)), mbr()), FormatUnknown)


def test_fixed_vhd_passes_where_raw_does_not() -> None:
    """Where only VHD is accepted, what begins as a raw disk has to end as a VHD."""
    guard = new_guard(disk_formats=("vhd",))
    feed(guard, vhd_fixed(mbr()))
    assert guard.verdict is not None
    assert guard.verdict.disk_format == "vhd"
    assert isinstance(refusal(new_guard(disk_formats=("vhd",)), mbr()), FormatUnknown)


def test_virtual_size_is_capped() -> None:
    """A disk of exactly the cap passes, a byte more does not; of raw disks the bytes themselves count."""
    feed(new_guard(max_virtual_bytes=4 << 20), qcow2())
    failure = refusal(new_guard(max_virtual_bytes=(4 << 20) - 1), qcow2())
    assert isinstance(failure, VirtualSizeExceeded)
    assert isinstance(refusal(new_guard("raw", max_virtual_bytes=99), bytes(100)), VirtualSizeExceeded)


def test_impossible_length_is_refused_at_once() -> None:
    """An image whose tables lie behind the most that may come is not pulled to its end."""
    guard = new_guard(max_bytes=2 << 20)
    with pytest.raises(TooManyBytes):
        guard.feed(gpt(said=3 << 20)[:65_536])
    feed(new_guard(max_bytes=1 << 20), gpt())


def test_several_formats_are_named() -> None:
    """A file that is two things says which."""
    failure = refusal(new_guard(), BUILT["iso-qcow2"]())
    assert isinstance(failure, FormatAmbiguous)
    assert failure.found == ["an ISO 9660 disc image", "a QCOW2 disk image"]


def test_verdict_is_provisional_then_final() -> None:
    """From the head on there is a verdict; the end may still change it."""
    guard = new_guard()
    guard.feed(vhd_fixed(mbr()))
    assert guard.verdict is not None
    assert guard.verdict.disk_format == "raw"
    guard.finish()
    assert guard.verdict.disk_format == "vhd"
    assert guard.verdict.facts == {"format": "vhd", "type": "fixed"}


@pytest.mark.parametrize("claim", ["ami", "ari", "aki"])
def test_amazon_formats_are_both(claim: str) -> None:
    """One of the two claims implies the other, and contradicting ones are refused."""
    sample = {"ami": "raw-ext", "ari": "cpio", "aki": "kernel-arm64"}[claim]
    for disk, container in ((claim, None), (None, claim), (claim, claim)):
        guard = new_guard(disk, container)
        feed(guard, BUILT[sample]())
        assert guard.verdict is not None
        assert (guard.verdict.disk_format, guard.verdict.container_format) == (claim, claim)
    assert isinstance(refusal(new_guard(claim, "bare"), BUILT[sample]()), FormatMismatch)


def test_first_broken_rule_is_told() -> None:
    """Of several broken rules the first is the reason; each alone would do."""
    failure = refusal(new_guard(), BUILT["vdi-signature-alone"]())
    assert isinstance(failure, FormatUnsafe)
    assert failure.rule == "vdi-version"


def test_limits_are_published() -> None:
    """What is accepted can be read before anything is submitted."""
    settings = load_settings()
    limits = {limit.name: limit for limit in FormatGuard.limits(settings)}
    assert limits["disk_formats"].value == settings.format.disk_formats
    assert limits["container_formats"].value == settings.format.container_formats
    assert limits["max_virtual_bytes"].value == settings.size.max_virtual_bytes
    assert {limit.guard for limit in limits.values()} == {"format"}


def test_a_format_that_is_not_accepted_is_not_advised() -> None:
    """Whoever said something else of a Parallels image is not told to say what is refused next."""
    failure = refusal(new_guard(disk="iso"), parallels()).fields()
    assert "disk_format=ploop" not in failure["hint"]
    assert "`qemu-img convert -f parallels -O qcow2 SOURCE TARGET`" in failure["hint"]


def test_an_extent_alone_is_told_as_one() -> None:
    """An extent of VMware has its descriptor elsewhere: no command on it alone makes a disk of it."""
    failure = refusal(new_guard(), put(vmdk(), 512, bytes(10_240))).fields()
    assert failure["rule"] == "vmdk-type"
    assert "DESCRIPTOR.vmdk" in failure["hint"]
