"""Comparing complete bytes with every digest that was promised, for each import that follows the pull."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self
from urllib.parse import unquote, urlsplit

import msgspec

from fetcher.config import Settings
from fetcher.errors import BadRedirect, ChecksumFileUnusable, ChecksumMismatch, Failure
from fetcher.guards.request.publishers import SIGNED_MANIFEST
from fetcher.guards.stream.checksum import check_digest
from fetcher.importer.download.retry_policy import may_ask_elsewhere, wait_seconds
from fetcher.importer.records.running_import import RunningImport
from fetcher.importer.schemes.scheme import Way
from fetcher.importer.stages.provenance import shown_hops
from fetcher.model import Digest, Hop, Submission
from fetcher.parsers.disposition import name_of
from fetcher.transport import Gate, Listed, Sums, SumsRequest, fetch_listed


class ExpectedDigests:
    """The expected digests of one body, by its imports, a checksum file and the source.

    Args:
        sums: What the checksum file says, where there is one.
        stated: By the source itself, by hashlib's names.
        way: How the bytes were found, with what their digest is to be.
    """

    def __init__(
        self, settings: Settings, sums: Sums | None, stated: Mapping[str, str], way: Way | None = None
    ) -> None:
        self._accepted = settings.checksum.accepted
        self._sums = sums
        self._stated = stated
        self._found = way.digest if way is not None else None
        self._found_source = way.digest_source if way is not None else ""

    def algorithms(self, submissions: Iterable[Submission]) -> set[str]:
        """Return the digests that are needed to compare with what each import was promised."""
        found = {one.checksum.algorithm for one in submissions if one.checksum is not None}
        found |= {self._found.algorithm} if self._found is not None else set()
        return found if self._sums is None else found | {self._sums.digest.algorithm}

    def check(self, submission: Submission, digests: Mapping[str, str]) -> str:
        """Compare the digests with those that one import expects; return what verified them.

        Raises:
            ChecksumMismatch: They are not what was promised.
        """
        if self._found is not None:
            check_digest(self._found, digests[self._found.algorithm], source=self._found_source)
        checksum = submission.checksum
        if checksum is not None:
            source = submission.checksum_source
            check_digest(checksum, digests[checksum.algorithm], source=source)
            if checksum.algorithm in self._accepted and self._found_source != SIGNED_MANIFEST:
                return source
        if self._sums is not None:
            check_digest(self._sums.digest, digests[self._sums.digest.algorithm], source="sums")
            return self._sums.verified_by
        if self._found is not None:
            return self._found_source
        known = self._stated.keys() & digests.keys()
        for algorithm in known:
            promised = Digest(algorithm=algorithm, value=self._stated[algorithm])
            check_digest(promised, digests[algorithm], source="header")
        return "header" if known else "none"

    def check_each(
        self, running_imports: list[RunningImport], digests: Mapping[str, str], /, **findings: Any
    ) -> dict[str, ChecksumMismatch]:
        """Compare for each import, and note in its record what verified it; return the mismatches.

        Args:
            digests: Of what was received.
            findings: What else is noted.
        """
        failed: dict[str, ChecksumMismatch] = {}
        for running in running_imports:
            try:
                verified_by = self.check(running.record.submission, digests)
            except ChecksumMismatch as mismatch:
                failed[running.record.id] = mismatch
            else:
                is_listed = self._sums is not None and verified_by == self._sums.verified_by
                signature = self._sums.signature if self._sums is not None and is_listed else None
                running.change(verified_by=verified_by, sums_signature=signature, **findings)
        return failed


def expects_digest(submission: Submission, settings: Settings) -> bool:
    """Return whether a submitter's digest will show if the bytes are the right ones."""
    checksum = submission.checksum
    return checksum is not None and checksum.algorithm in settings.checksum.accepted


def gives_up_encryption(hops: Sequence[Hop]) -> bool:
    """Return whether a chain of requests went from https to http."""
    schemes = [hop.url.partition(":")[0] for hop in hops]
    return ("https", "http") in pairwise(schemes)


@dataclass(kw_only=True)
class ChecksumFile:
    """A checksum file's contents, and the way to it.

    Which of its entries is the image's may turn out only when the source has answered: a link named
    `latest` is listed under the name that it leads to.

    Args:
        name: The path of the submitted URL.
        found: What it says of the image; None until that is known.
    """

    listed: Listed
    hops: tuple[Hop, ...]
    name: str
    found: Sums | None = None

    @classmethod
    async def fetch(cls, gate: Gate, request: SumsRequest, settings: Settings) -> Self:
        """Fetch the checksum file that a submission names.

        Raises:
            Failure: It cannot be had, or gives no digest.
        """
        number = 0
        while True:
            number += 1
            hops: list[Hop] = []
            try:
                listed = await fetch_listed(gate, request, settings, hops.append)
                name = request.path or request.name
                return cls(listed=listed, hops=tuple(hops), name=name, found=listed.known(name))
            except Failure as failure:
                if not isinstance(failure, ChecksumFileUnusable):
                    failure.part = "checksum file"
                is_worth_it = failure.public().is_retryable() or may_ask_elsewhere(failure, hops)
                if number >= settings.retry.attempts or not is_worth_it:
                    raise
                await asyncio.sleep(wait_seconds(failure, number, settings.retry))

    def settle(self, hops: Sequence[Hop], disposition: str | None = None) -> Sums:
        """Find the image's entry by what the way to its source tells, too: once, for all that follows.

        Raises:
            ChecksumFileUnusable: There is none, or it is not clear which one it is.
        """
        if self.found is None:
            paths = [unquote(urlsplit(hop.url).path) for hop in hops]
            called = name_of("", disposition)
            names = [self.name, *paths, *([called] if called else [])]
            self.found = self.listed.choose(list(dict.fromkeys(names)))
        return self.found

    @property
    def algorithms(self) -> frozenset[str]:
        """Return the digests that may be needed."""
        return self.listed.algorithms if self.found is None else frozenset({self.found.digest.algorithm})

    def story(self, settings: Settings) -> dict[str, Any]:
        """Return what the image's provenance records of it."""
        story: dict[str, Any] = msgspec.to_builtins(self.found)
        return story | {"hops": shown_hops(self.hops, settings)}


def given_up_encryption(
    running_imports: Iterable[RunningImport], hops: Sequence[Hop], settings: Settings
) -> dict[str, Failure]:
    """Return the failure of each import without a digest of its own, where a redirect gave up encryption."""
    if settings.redirects.allow_downgrade or not gives_up_encryption(hops):
        return {}
    failure = BadRedirect(hop=len(hops) - 1, reason="it leads from https to http")
    return {
        running.record.id: failure
        for running in running_imports
        if not expects_digest(running.record.submission, settings)
    }
