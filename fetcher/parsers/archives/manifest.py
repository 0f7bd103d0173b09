"""The manifest of an appliance: digests of its files, one a line, compared while the files go by.

Specification: DMTF DSP0243 2.1 section 5.1.
A manifest comes before or after what it speaks of, so that all usual digests are taken as long as one may
still come; behind it, only what it asks for.
"""

import hashlib
import hmac
import re
from collections.abc import Collection
from typing import Any

from fetcher.parsers.archives.names import spellings

MAX_MANIFEST_BYTES = 65_536
LINE = re.compile(r"(SHA1|SHA224|SHA256|SHA384|SHA512)\s*\((.+)\)\s*=\s*([0-9A-F]{40,128})", re.IGNORECASE)
USUAL = ("sha1", "sha256", "sha512")
"""The algorithms that manifests are written with; what is computed while no manifest has been seen."""
FOR_PAPERS = (*USUAL, "sha384")
"""The algorithms that are computed of papers, which are short."""

Manifest = dict[str, tuple[str, str]]
"""The algorithm and digest of each file."""


class BrokenManifest(ValueError):
    """A manifest that cannot be used; its text completes "The file is refused: ..."."""


class Mismatch(ValueError):
    """A member that is not what its manifest says.

    Args:
        algorithm: Of the digests.
        expected: What the manifest says, in hexadecimal digits.
        actual: What the member has.
    """

    def __init__(self, algorithm: str, expected: str, actual: str) -> None:
        super().__init__("a member is not what its manifest says")
        self.algorithm = algorithm
        self.expected = expected
        self.actual = actual


class MemberDigests:
    """The digests of an appliance's members, and the manifest that they are compared with.

    Attributes:
        taken: {name: {algorithm: hexadecimal digits}} of the members that have ended.
    """

    def __init__(self) -> None:
        self.taken: dict[str, dict[str, str]] = {}
        self._manifests: list[tuple[bytes, str]] = []
        self._promised: Manifest | None = None
        self._by_spelling: Manifest = {}
        self._name = ""
        self._open: dict[str, Any] = {}

    @property
    def has_manifest(self) -> bool:
        """Answer whether a manifest has been met."""
        return bool(self._manifests)

    def open(self, name: str, *, is_paper: bool, by_manifest: bool = True) -> bool:
        """Begin a member; return whether its bytes are wanted.

        Args:
            is_paper: It is short.
            by_manifest: A manifest that came before it says which digests count.

        Raises:
            BrokenManifest: The manifest that came before it is none.
        """
        algorithms: tuple[str, ...] = FOR_PAPERS if is_paper else USUAL
        if self._manifests and by_manifest:
            self._read()
            promised = self._by_spelling.get(name)
            algorithms = () if promised is None else (promised[0],)
        self._name = name
        self._open = {key: hashlib.new(key, usedforsecurity=False) for key in algorithms}
        return bool(self._open)

    def take(self, data: bytes | memoryview) -> None:
        """Take the next bytes of the member."""
        for digest in self._open.values():
            digest.update(data)

    def close(self) -> None:
        """End the member."""
        if self._open:
            self.taken[self._name] = {key: it.hexdigest() for key, it in self._open.items()}
        self._open = {}

    def note_manifest(self, text: bytes, folder: str) -> None:
        """Take a manifest; it is read when it is needed.

        Args:
            folder: What its own name begins with, up to its last slash: its names count from there.
        """
        self._manifests = [*self._manifests[:1], (text, folder)]  # Two are one too many.

    def compare(self, disks: Collection[str]) -> None:
        """Compare the manifest with what the members really are.

        Args:
            disks: The members that it has to cover.

        Raises:
            Mismatch: A member is not what the manifest says.
            BrokenManifest: It cannot be read, says nothing of a disk, or speaks of files that are not there.
        """
        if len(self._manifests) > 1:
            raise BrokenManifest("it has two manifests")
        promised = self._read()
        if not all(disk in self._by_spelling for disk in disks):
            raise BrokenManifest("its manifest does not cover the disk")
        for file, (algorithm, expected) in promised.items():
            name = next((name for name in spellings(file) if name in self.taken), None)
            if name is None:
                raise BrokenManifest("its manifest names a file that it does not have")
            actual = self.taken[name].get(algorithm)
            if actual is None:
                raise BrokenManifest(
                    f"its manifest follows the files and is written with {algorithm.upper()}"
                )
            if not hmac.compare_digest(actual, expected):
                raise Mismatch(algorithm, expected, actual)

    def _read(self) -> Manifest:
        if self._promised is None:
            self._promised = read_manifest(*self._manifests[0])
            for file, said in self._promised.items():
                for name in spellings(file):
                    self._by_spelling.setdefault(name, said)
        return self._promised


def read_manifest(text: bytes, folder: str) -> Manifest:
    """Read a manifest.

    Args:
        text: The whole file.
        folder: As for `MemberDigests.note_manifest`.

    Raises:
        BrokenManifest: A line is none, or a file is listed twice.
    """
    found: Manifest = {}
    for line in text.decode("utf-8-sig", "replace").splitlines():
        if not line.strip():
            continue
        match = LINE.fullmatch(line.strip())
        if match is None:
            raise BrokenManifest(
                "a line of its manifest is not ALGORITHM(file)= digest with SHA1, SHA256 or SHA512"
            )
        algorithm, name, digest = match[1].lower(), match[2].strip(), match[3].lower()
        if len(digest) != 2 * hashlib.new(algorithm, usedforsecurity=False).digest_size:
            raise BrokenManifest(f"a digest in its manifest is not as long as {match[1]} makes it")
        if folder + name in found:
            raise BrokenManifest("its manifest lists a file twice")
        found[folder + name] = (algorithm, digest)
    return found
