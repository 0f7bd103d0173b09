"""The papers of an OVA: its descriptor in XML, and its manifest.

Specification: DMTF DSP0243 2.1, sections 5.1 (manifest), 7.1 (references) and 9.1 (disks), annex C (units).
Reads: the whole descriptor, at most 1 MiB with 16,384 elements and attributes; the whole manifest, at most
    64 KiB; both by the parsers that unpack appliances.
Structure: XML, with the files and disks that it names; lines with an algorithm, a file and a digest.
Safety: no document type and so no entities; files named by their plain name, never by path or URL; no
    disk that is made from a parent, in chunks, or packed in another way than gzip. Every line of the manifest
    is compared, and it covers each disk of the descriptor. A certificate is noted and not verified.
"""

from collections.abc import Generator, Iterator

from fetcher.guards.stream.formats.report import Report, Window, windows
from fetcher.parsers.archives.manifest import MAX_MANIFEST_BYTES, BrokenManifest, MemberDigests, Mismatch
from fetcher.parsers.archives.names import is_hidden, spellings
from fetcher.parsers.archives.ovf import (
    MAX_DESCRIPTOR_BYTES,
    BrokenDescriptor,
    References,
    ReferencesReader,
)
from fetcher.parsers.archives.units import MAX_BYTES

DESCRIPTOR, MANIFEST, CERTIFICATE = ".ovf", ".mf", ".cert"
EXPORT = "Export the appliance anew, or unpack it and submit the disk image inside."
CHANGED = (
    "The appliance was changed or damaged after it was exported: compare its digest with the original's, or"
    " export it anew. One that was changed on purpose needs a new manifest, or none."
)

Read = Generator[Window, bytes, None]


def kind_of(name: str) -> str:
    """Return which paper a member is by its name; empty where it is none, or a desktop made it by itself."""
    if is_hidden(name):
        return ""
    return next((kind for kind in (DESCRIPTOR, MANIFEST, CERTIFICATE) if name.lower().endswith(kind)), "")


class Papers:
    """Reads descriptor and manifest, and takes the digests of all members that a manifest may speak of.

    Args:
        report: Where to note what is found.

    Attributes:
        references: What the descriptor refers to.
    """

    def __init__(self, report: Report) -> None:
        self.references = References()
        self._report = report
        self._digests = MemberDigests()
        self._has_certificate = False

    def open(self, name: str) -> bool:
        """Begin a member; return whether all its bytes are wanted."""
        kind = kind_of(name)
        self._has_certificate = self._has_certificate or kind == CERTIFICATE
        try:
            return self._digests.open(name, is_paper=kind in (DESCRIPTOR, MANIFEST))
        except BrokenManifest as error:
            self._report.broke("ova-manifest", str(error), EXPORT)
            return False

    def take(self, data: bytes) -> None:
        """Take the next bytes of the member."""
        self._digests.take(data)

    def close(self) -> None:
        """End the member."""
        self._digests.close()

    def descriptor(self, at: int, size: int) -> Read:
        """Read the descriptor, piece by piece.

        Raises:
            WorkExceeded: The budget of the import is spent.
        """
        report = self._report
        fits = 0 < size <= MAX_DESCRIPTOR_BYTES
        report.require(fits, "ova-descriptor", "its descriptor is empty or too long", EXPORT)
        if report.findings:
            return
        reader, read_bytes = ReferencesReader(), 0
        try:
            for window in windows(at, size):
                piece = yield window
                read_bytes += len(piece)
                self.take(piece)
                reader.feed(piece)
            if read_bytes < size:
                return  # The file is cut short, which its end reports.
            self.references = reader.close()
        except BrokenDescriptor as error:
            report.broke(f"ova-{error.rule}", error.reason, EXPORT)
            return
        report.virtual_bytes = self.references.capacity_bytes
        fits = report.virtual_bytes < MAX_BYTES
        report.require(fits, "ova-capacity", "its disks are too large", EXPORT)
        report.announce()

    def manifest(self, at: int, size: int) -> Read:
        """Read the manifest.

        Raises:
            WorkExceeded: The budget of the import is spent.
        """
        fits = size <= MAX_MANIFEST_BYTES
        self._report.require(fits, "ova-manifest", "its manifest is too long", EXPORT)
        if self._report.findings:
            return
        text = (yield Window(at, size)) if size else b""
        self.take(text)
        self._digests.note_manifest(text, "")

    def conclude(self, names: set[str]) -> None:
        """Compare what they say with the members that there were."""
        report, references = self._report, self.references
        found = [names.intersection(spellings(file)) for file in references.names]
        report.require(
            all(found), "ova-reference", "its descriptor names a file that it does not have", EXPORT
        )
        is_clear = all(len(named) <= 1 for named in found)
        report.require(
            is_clear, "ova-reference", "its descriptor names a file that may be either of two", EXPORT
        )
        report.facts |= {"members": len(names), "disks": len(references.disks) + references.empty_disks}
        if self._digests.has_manifest and not report.findings:
            self._compare(list(self._disks(names)))
            report.facts["manifest"] = "compared"
        if self._has_certificate:
            report.facts["certificate"] = "present, not verified"

    def _disks(self, names: set[str]) -> Iterator[str]:
        """Yield the members that the descriptor calls disks."""
        for disk in self.references.disks:
            yield from names.intersection(spellings(disk))

    def _compare(self, disks: list[str]) -> None:
        try:
            self._digests.compare(disks)
        except Mismatch:
            self._report.broke("ova-manifest", "a member is not what its manifest says", CHANGED)
        except BrokenManifest as error:
            self._report.broke("ova-manifest", str(error), EXPORT)
