"""Digests: what is taken from a submitter, and whether the bytes are those that were promised."""

import hashlib
import hmac
import re
from base64 import b64decode

from fetcher.config import Settings
from fetcher.errors import ChecksumFileUnusable, ChecksumMismatch, ChecksumRequired, InvalidRequest
from fetcher.guards.base import Limit
from fetcher.guards.spec import GuardSpec
from fetcher.model import Digest, Submission
from fetcher.parsers.checksum_files import read_listing

# Subresource integrity, as package managers write a digest.
_SRI = re.compile(r"(sha256|sha384|sha512)-((?:[A-Za-z0-9+/]{4})+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?)")
HEX = re.compile(r"[0-9a-fA-F]+\Z")


def parse_digest(text: str, settings: Settings) -> Digest:
    """Read `algorithm:hex`.

    Raises:
        InvalidRequest: The algorithm is not taken here, or the value is not of its length.
    """
    algorithm, colon, value = text.partition(":")
    algorithm = algorithm.lower()
    taken = [*settings.checksum.accepted, *settings.checksum.weak]
    if not colon or algorithm not in taken:
        raise InvalidRequest(
            field="checksum", reason=f"checksum is written ALGORITHM:HEX, with one of {', '.join(taken)}"
        )
    length = hashlib.new(algorithm, usedforsecurity=False).digest_size * 2
    if len(value) != length or not HEX.match(value):
        raise InvalidRequest(field="checksum", reason=f"a {algorithm} has {length} hexadecimal digits")
    return Digest(algorithm=algorithm, value=value.lower())


def read_digest(text: str, settings: Settings) -> Digest:
    """Read a digest as people paste it: `algorithm:hex`, hex alone, a line of a checksum file, or SRI.

    Where nothing names the algorithm, its length does; what is pasted has to be one digest and no other.

    Raises:
        InvalidRequest: It is none that is taken here.
    """
    try:
        return parse_digest(text, settings)
    except InvalidRequest as refusal:
        found = _pasted(text)
        if found is None or found.algorithm not in {*settings.checksum.accepted, *settings.checksum.weak}:
            raise refusal from None
        return found


def _pasted(text: str) -> Digest | None:
    integrity = _SRI.fullmatch(text)
    if integrity is not None:
        value = b64decode(integrity[2]).hex()
        is_whole = len(value) == hashlib.new(integrity[1]).digest_size * 2
        return Digest(algorithm=integrity[1], value=value) if is_whole else None
    try:
        entries = read_listing(text, max_lines=1).entries
    except ChecksumFileUnusable:
        return None
    return Digest(algorithm=entries[0].algorithm, value=entries[0].value) if len(entries) == 1 else None


def check_required(digest: Digest | None, settings: Settings) -> None:
    """Refuse a submission without a digest where the operator asks for one; a weak one does not count.

    Raises:
        ChecksumRequired: There is none that counts.
    """
    if settings.checksum.required and (digest is None or digest.algorithm not in settings.checksum.accepted):
        raise ChecksumRequired(accepted=list(settings.checksum.accepted))


def check_digest(expected: Digest, actual: str, *, source: str) -> None:
    """Compare a promised digest with the bytes' own.

    Raises:
        ChecksumMismatch: They differ; the failure holds both.
    """
    if not hmac.compare_digest(expected.value, actual):
        raise ChecksumMismatch(
            algorithm=expected.algorithm, expected=expected.value, actual=actual, source=source
        )


def limits(settings: Settings) -> tuple[Limit, ...]:
    """Say which digests are taken, computed and required."""
    rules = settings.checksum
    rows = (
        (
            "checksum_algorithms",
            "array",
            list(rules.accepted),
            "Digests that verify the bytes when submitted.",
        ),
        (
            "weak_checksum_algorithms",
            "array",
            list(rules.weak),
            "Digests that are compared, but verify nothing.",
        ),
        ("computed_checksums", "array", rules.algorithms, "Digests that are computed for every image."),
        (
            "checksum_required",
            "boolean",
            rules.required,
            "Whether every submission needs a verifying digest.",
        ),
    )
    return tuple(
        Limit(name=name, type=kind, value=value, description=words, guard="checksum")
        for name, kind, value, words in rows
    )


def check_submitted(submission: Submission, settings: Settings) -> None:
    """Refuse a submission without a digest of its own or a checksum file, where one has to be given.

    Raises:
        ChecksumRequired: There is none that counts.
    """
    if submission.remote is None and submission.checksum_url is None:
        check_required(submission.checksum, settings)


GUARD = GuardSpec(
    name="checksum",
    title="Checksums",
    sections=("checksum",),
    limits=limits,
    check_submission=check_submitted,
    checks=(parse_digest, check_digest),
)
