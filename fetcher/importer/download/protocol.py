"""The job as its attempts see it."""

from typing import Protocol

from fetcher.config import Settings
from fetcher.errors import ChecksumMismatch
from fetcher.importer.context import Context
from fetcher.importer.place import Place
from fetcher.importer.receive.receiver import Receiver
from fetcher.importer.records.subscribers import Subscribers
from fetcher.index.values import ResumeState
from fetcher.transport import Source


class Proof(Protocol):
    """The digests that are expected, as attempts see them; `Verification` has them."""

    def is_proven(self) -> bool:
        """Return whether an expected digest will show if parts of different answers fit together."""

    def opened(self, source: Source) -> None:
        """Look at an answer before any of its bytes is taken; may refuse it."""


class Job(Protocol):
    """The job as its attempts see it; `DownloadJob` is one."""

    @property
    def context(self) -> Context:
        """Return the services that every import needs."""

    @property
    def settings(self) -> Settings:
        """Return the limits in force when the job began."""

    @property
    def subscribers(self) -> Subscribers:
        """Return the imports that see how far the attempts are."""

    @property
    def resume_state(self) -> ResumeState:
        """Return what an earlier process left of the job."""

    @property
    def verification(self) -> Proof:
        """Return what is known of the digests that the bytes are to have."""

    @property
    def place(self) -> Place:
        """Return the job's place among the others, where its own connection counts."""

    async def verify(self, receiver: Receiver, stated: dict[str, str]) -> ChecksumMismatch | None:
        """Compare a complete body with every expected digest; a mismatch where not even one is met."""
