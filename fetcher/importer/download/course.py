"""What the attempts of one pull share with the pull that they belong to."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fetcher.config import Settings
from fetcher.errors import ChecksumMismatch
from fetcher.importer.download.budget import Budget
from fetcher.importer.download.sources import Sources
from fetcher.importer.receive.receiver import Receiver
from fetcher.importer.receive.receiver_factory import ReceiverFactory
from fetcher.importer.records.subscribers import Subscribers
from fetcher.index import ResumeState
from fetcher.transport import Source


@dataclass(frozen=True, kw_only=True)
class Course:
    """One pull's sources, the imports that follow it, and what it may cost.

    Args:
        kept: What an earlier process left of it.
        verify: Compares a complete intake with every digest that was promised, given what the
            source itself said; tells a mismatch when not even one of them matches.
        opened: Told of each answer before any of its bytes is taken; may refuse it.
        go: Takes the pull's own connection to another origin.
        is_proven: Whether a promised digest will tell if parts of different answers fit together.
    """

    sources: Sources
    subscribers: Subscribers
    budget: Budget
    receivers: ReceiverFactory
    settings: Settings
    resume_state: ResumeState
    verify: Callable[[Receiver, dict[str, str]], Awaitable[ChecksumMismatch | None]]
    opened: Callable[[Source], None]
    go: Callable[[str], Awaitable[None]]
    is_proven: Callable[[], bool]
