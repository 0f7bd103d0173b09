"""A job's bytes and the digests that its imports, its checksum file and its source expect."""

from typing import Any

from fetcher.config import Settings
from fetcher.errors import ChecksumMismatch, Failure
from fetcher.guards.request.publishers import check_way
from fetcher.importer.receive.complete import Complete
from fetcher.importer.records.subscribers import Subscribers
from fetcher.importer.schemes.scheme import Way
from fetcher.importer.stages.expected_digests import (
    ChecksumFile,
    ExpectedDigests,
    expects_digest,
    given_up_encryption,
)
from fetcher.importer.stages.stage import Carrier, Stage
from fetcher.index.values import Secrets
from fetcher.model import Phase
from fetcher.transport import Gate, Source, SumsRequest


class Verification:
    """Compares the bytes of one job for each of its imports.

    Attributes:
        way: How the bytes are asked for; it may bring a digest.
        stated: Digests that the source itself states, by hashlib's names.
        failed: Why bytes that have been compared are not those of an import, by the import's id.
        mismatch: Where no expected digest is met at all: another attempt may bring other bytes.
    """

    def __init__(self, subscribers: Subscribers, settings: Settings) -> None:
        self._subscribers = subscribers
        self._settings = settings
        self._sums: ChecksumFile | None = None
        self.way = Way(secrets=Secrets(url=""))
        self.stated: dict[str, str] = {}
        self.failed: dict[str, Failure] = {}
        self.mismatch: ChecksumMismatch | None = None

    async def fetch_sums(self, gate: Gate, request: SumsRequest) -> None:
        """Fetch the checksum file that the imports name.

        Raises:
            Failure: It cannot be had, or gives no digest.
        """
        self._sums = await ChecksumFile.fetch(gate, request, self._settings)

    def opened(self, source: Source) -> None:
        """Find the image's entry in the checksum file, as soon as the source has stated its names.

        Raises:
            SignatureRequired: The source led to a publisher that has to sign.
            ChecksumFileUnusable: The image has no entry, or it is not clear which one.
        """
        if self._settings.publisher.rules:
            submissions = [one.record.submission for one in self._subscribers.followers.values()]
            check_way(source.hops, submissions, self._settings)
        if self._sums is not None:
            self._sums.settle(source.hops, source.headers.get("content-disposition"))

    def settle_by_hops(self) -> None:
        """Do so where no answer with bytes came in this process, by the requests that are known."""
        if self._sums is not None:
            self._sums.settle([hop for attempt in self._subscribers.attempts for hop in attempt.hops])

    def expected(self, stated: dict[str, str]) -> ExpectedDigests:
        """Return all digests that are known.

        Args:
            stated: By the source, in the headers of its answer.
        """
        sums = self._sums.found if self._sums else None
        return ExpectedDigests(self._settings, sums, stated, self.way)

    def expected_algorithms(self) -> set[str]:
        """Return the algorithms of the digests that an import, a checksum file or a service expects."""
        submissions = (running.record.submission for running in self._subscribers.followers.values())
        found = {one.checksum.algorithm for one in submissions if one.checksum is not None}
        found |= {self.way.digest.algorithm} if self.way.digest is not None else set()
        return found if self._sums is None else found | self._sums.algorithms

    def is_proven(self) -> bool:
        """Return whether an expected digest will show if parts of different answers fit together."""
        submissions = [running.record.submission for running in self._subscribers.followers.values()]
        is_known = self.way.digest is not None or self._sums is not None
        return is_known or any(expects_digest(one, self._settings) for one in submissions)

    def is_expected_by_all(self) -> bool:
        """Return whether each import brought a digest of its own."""
        return all(
            expects_digest(one.record.submission, self._settings)
            for one in self._subscribers.followers.values()
        )

    def compare(self, body: Complete) -> None:
        """Compare for each import, and note in `failed` whom the bytes are not for."""
        running = list(self._subscribers.followers.values())
        mismatches = self.expected(self.stated).check_each(running, body.received_digests)
        is_proven = any(one.record.verified_by != "none" for one in running)
        unsafe = given_up_encryption(running, self._subscribers.attempts[-1].hops, self._settings)
        self.failed = {**unsafe, **mismatches}
        self.mismatch = next(iter(mismatches.values())) if mismatches and not is_proven else None

    def story(self) -> dict[str, Any]:
        """Return what provenance records of the checksum file, and of the signature in a registry."""
        story = {} if self._sums is None else {"sums": self._sums.story(self._settings)}
        signer = self.way.signer
        return story if signer is None else story | {"manifest": {"signature": "good", "signer": signer}}


async def _run(carrier: Carrier, body: Complete) -> Complete:
    if carrier.verification is not None:
        carrier.verification.settle_by_hops()
    carrier.change(phase=Phase.VERIFYING, format=body.format, digests=body.digests, stages=body.stages)
    if carrier.verification is not None:
        carrier.verification.compare(body)
    return body


STAGE = Stage(name="verify", run=_run, per_attempt=True)
