"""The papers of an archive: descriptor, manifest, certificate, and a box's metadata.

They lie beside the disk, are small and are read as a whole. A manifest may come before or after what
it speaks of, so that digests are computed as long as one may still come.
"""

import json
from enum import Enum

from fetcher.errors import ChecksumMismatch, UnpackFailed
from fetcher.parsers.archives.manifest import BrokenManifest, MemberDigests, Mismatch
from fetcher.parsers.archives.names import is_hidden, spellings
from fetcher.unpack.appliance.ovf import Appliance, read_appliance
from fetcher.unpack.values import Evidence, Layer, UnpackLimits, shorten

MAYBE_APPLIANCE = (".vmdk", ".vmdk.gz", ".ovf", ".iso", ".nvram", ".cert", ".mf")
"""Members that get all usual digests while no descriptor has been seen: it and its manifest may follow."""

PROVIDERS = frozenset(
    {"libvirt", "virtualbox", "vmware_desktop", "vmware", "hyperv", "qemu", "parallels", "utm"}
)


class Paper(Enum):
    """A kind of member that is read as a whole."""

    DESCRIPTOR = "descriptor"
    MANIFEST = "manifest"
    METADATA = "metadata"


class Papers:
    """The files beside the disk of one archive.

    Args:
        layer: Becomes an OVA or a box when its papers say so.
        limits: How long papers may be.
        evidence: Gets what they say.

    Attributes:
        appliance: What the descriptor says, once it has been read.
        folder: Where in the archive the descriptor lies; its names count from there.
    """

    def __init__(self, layer: Layer, limits: UnpackLimits, evidence: Evidence) -> None:
        self.appliance: Appliance | None = None
        self.folder = ""
        self._layer = layer
        self._limits = limits
        self._evidence = evidence
        self._digests = MemberDigests()
        self._name = ""
        self._paper: Paper | None = None
        self._text = bytearray()

    def open(self, name: str, size: int | None) -> None:
        """Begin a member; `size` is None where only its end shows it."""
        self._name, self._paper = name, paper_of(name)
        if name.lower().endswith(".cert"):
            self._evidence.signature = "present, not verified"
        if self._paper is not None:
            self._check_length(size or 0)
        is_appliance = self.appliance is not None or self._layer.packing == "ova"
        if is_appliance or name.lower().endswith(MAYBE_APPLIANCE):
            self._open_digests(name)

    def _open_digests(self, name: str) -> None:
        """Take those digests of a member that may be compared later."""
        try:
            self._digests.open(name, is_paper=self._paper is not None, by_manifest=self.appliance is not None)
        except BrokenManifest as error:
            raise self._failed("manifest", str(error)) from error

    def take(self, data: bytes | memoryview) -> None:
        """Take the next bytes of the member."""
        self._digests.take(data)
        if self._paper is not None:
            self._check_length(len(self._text) + len(data))
            self._text += data

    def close(self) -> Paper | None:
        """End the member, read it if it is a paper, and return which one it was."""
        self._digests.close()
        paper, text = self._paper, bytes(self._text)
        self._paper = None
        self._text.clear()
        if paper is Paper.DESCRIPTOR:
            self._read_descriptor(text)
        elif paper is Paper.MANIFEST:
            self._digests.note_manifest(text, folder_of(self._name))
        elif paper is Paper.METADATA:
            self._read_metadata(text)
        return paper

    def _check_length(self, size: int) -> None:
        is_descriptor = self._paper is Paper.DESCRIPTOR
        most = self._limits.max_descriptor_bytes if is_descriptor else self._limits.max_manifest_bytes
        if size > most:
            what = "descriptor" if is_descriptor else "manifest or metadata"
            raise self._failed("descriptor", f"its {what} is longer than {most:,} bytes")

    def _read_descriptor(self, text: bytes) -> None:
        if self.appliance is not None:
            raise self._failed("descriptor", "it has two descriptors")
        self.appliance = read_appliance(text)
        self.folder = folder_of(self._name)
        if self._layer.packing == "tar":
            self._layer.packing = "ova"

    def _read_metadata(self, text: bytes) -> None:
        """Read what a box says of itself; what cannot be read says nothing."""
        try:
            claims = json.loads(text)
        except (ValueError, RecursionError):
            return
        provider = claims.get("provider") if isinstance(claims, dict) else None
        if not isinstance(provider, str) or provider not in PROVIDERS:
            return
        if self._layer.packing == "tar":
            self._layer.packing = "box"
        for key in ("provider", "format", "virtual_size", "architecture"):
            value = claims.get(key)
            if isinstance(value, str | int) and len(str(value)) <= 64:
                self._evidence.facts[f"box_{key}"] = value

    def conclude(self, disk: str, names: set[str]) -> None:
        """Compare the papers with what was there.

        Args:
            disk: The member that becomes the image.
            names: Of all members.

        Raises:
            UnpackFailed: They speak of files that are not there, or not of the disk.
            ChecksumMismatch: A member is not what the manifest says.
        """
        if self.appliance is None:
            return
        self.check_references(names)
        if self._digests.has_manifest:
            self._compare(disk)
            self._evidence.manifest = "compared"
        self._evidence.digests = self._digests.taken

    def _compare(self, disk: str) -> None:
        try:
            self._digests.compare([disk])
        except Mismatch as found:
            raise ChecksumMismatch(
                algorithm=found.algorithm,
                expected=found.expected,
                actual=found.actual,
                source="the manifest in the archive",
            ) from found
        except BrokenManifest as error:
            raise self._failed("manifest", str(error)) from error

    def check_references(self, names: set[str]) -> None:
        """Check that every file of a descriptor is there.

        Raises:
            UnpackFailed: One is not.
        """
        for name in sorted(self.appliance.files if self.appliance is not None else ()):
            if names.isdisjoint(spellings(self.folder + name)):
                raise self._failed(
                    "reference", f"its descriptor names a file that it does not have: {shorten(name)}"
                )

    def _failed(self, rule: str, reason: str) -> UnpackFailed:
        hint = "Export the appliance anew, or unpack it and submit the disk image inside."
        return UnpackFailed(packing=self._layer.packing, rule=rule, reason=reason, hint=hint)


def paper_of(name: str) -> Paper | None:
    """Tell by its name whether a member is a paper."""
    lower = name.lower()
    if is_hidden(name):
        return None
    if lower.endswith(".ovf"):
        return Paper.DESCRIPTOR
    if lower.endswith(".mf"):
        return Paper.MANIFEST
    return Paper.METADATA if lower == "metadata.json" else None


def folder_of(name: str) -> str:
    """Return the folders of a name, with the slash behind them."""
    return name[: name.rfind("/") + 1]
