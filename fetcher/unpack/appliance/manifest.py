"""The manifest of an appliance: digests of its files, one a line.

Specification: DMTF DSP0243 2.1 section 5.1.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping

from fetcher.errors import ChecksumMismatch, UnpackFailed

LINE = re.compile(r"(SHA1|SHA224|SHA256|SHA384|SHA512)\s*\((.+)\)\s*=\s*([0-9A-F]{40,128})", re.IGNORECASE)
USUAL = ("sha1", "sha256", "sha512")
"""The algorithms that manifests are written with; what is computed while no manifest has been seen."""

Manifest = dict[str, tuple[str, str]]
"""The algorithm and digest of each file."""


def read_manifest(text: bytes, folder: str) -> Manifest:
    """Read a manifest.

    Args:
        text: The whole file.
        folder: What the manifest's own name begins with, up to its last slash: its names count from there.

    Raises:
        UnpackFailed: A line is none, or a file is listed twice.
    """
    found: Manifest = {}
    for line in text.decode("utf-8-sig", "replace").splitlines():
        if not line.strip():
            continue
        match = LINE.fullmatch(line.strip())
        if match is None:
            raise failed("a line of its manifest is not ALGORITHM(file)= digest with SHA1, SHA256 or SHA512")
        algorithm, name, digest = match[1].lower(), match[2].strip(), match[3].lower()
        if len(digest) != 2 * hashlib.new(algorithm, usedforsecurity=False).digest_size:
            raise failed(f"a digest in its manifest is not as long as {match[1]} makes it")
        if folder + name in found:
            raise failed("its manifest lists a file twice")
        found[folder + name] = (algorithm, digest)
    return found


def compare(manifest: Manifest, digests: Mapping[str, Mapping[str, str]], disk: str) -> None:
    """Compare a manifest with what the files really are.

    Args:
        manifest: What was promised.
        digests: {name: {algorithm: hex}} of every member that was read.
        disk: The member that becomes the image; the manifest has to cover it.

    Raises:
        ChecksumMismatch: A file is not what the manifest says.
        UnpackFailed: The manifest says nothing of the disk, or speaks of files that are not there.
    """
    if disk not in manifest:
        raise failed("its manifest does not cover the disk")
    for name, (algorithm, expected) in manifest.items():
        if name not in digests:
            raise failed("its manifest names a file that it does not have")
        actual = digests[name].get(algorithm)
        if actual is None:
            raise failed(f"its manifest follows the files and is written with {algorithm.upper()}")
        if not hmac.compare_digest(actual, expected):
            source = "the manifest in the archive"
            raise ChecksumMismatch(algorithm=algorithm, expected=expected, actual=actual, source=source)


def failed(reason: str) -> UnpackFailed:
    """Make the failure of an appliance whose manifest cannot be used."""
    hint = "Export the appliance anew, or unpack it and submit the disk image inside."
    return UnpackFailed(packing="ova", rule="manifest", reason=reason, hint=hint)
