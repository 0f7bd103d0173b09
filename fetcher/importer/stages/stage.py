"""The declaration of a stage, made once, and what a stage is given to work on."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from fetcher.config import Settings
from fetcher.errors import Failure
from fetcher.importer.context import Context
from fetcher.importer.receive.complete import Complete
from fetcher.importer.records.running_import import RunningImport
from fetcher.index.values import Secrets
from fetcher.model import Blob, Submission

Settle = Callable[[Blob], Awaitable[Sequence[Failure | None]]]


@dataclass(frozen=True, kw_only=True)
class Story:
    """Facts kept with an image: the limits that judged its bytes, and the words of its source."""

    settings: Settings
    limits: Mapping[str, object]
    source_headers: dict[str, str]
    more: dict[str, Any]


class Comparison(Protocol):
    """The digests that are expected, as the stages see them; `Verification` has them."""

    def settle_by_hops(self) -> None:
        """Find what a checksum file says of the body, where no answer has stated its name."""

    def compare(self, body: Complete) -> None:
        """Compare the bytes for each import."""


class Carrier(Protocol):
    """A download for its subscribers, or an upload: it takes a body through the stages."""

    @property
    def context(self) -> Context:
        """Return the services that every import needs."""

    @property
    def settings(self) -> Settings:
        """Return the limits in force when the body began to come in."""

    @property
    def followers(self) -> Mapping[str, RunningImport]:
        """Return the imports that the body is for, by their ids; each may leave at any moment."""

    @property
    def asked(self) -> Submission:
        """Return what was asked for, alike in all of them."""

    @property
    def secrets(self) -> Secrets:
        """Return the secrets that came with it."""

    @property
    def is_parked(self) -> bool:
        """Return whether a cancelled run is to be taken up by a later process."""

    @property
    def settle(self) -> Settle | None:
        """Return what writes the rows of a durable blob; None where the imports' images become active."""

    @property
    def verification(self) -> Comparison | None:
        """Return what compares the bytes with the digests that each import expects; None where none does."""

    def story(self) -> Story:
        """Return what is kept with the image."""

    def change(self, **changes: Any) -> None:
        """Replace fields of every import's record."""

    def show(self, share: float) -> None:
        """Show how far a conversion is, from 0 to 1."""

    async def close(self) -> None:
        """Let go of what came in: a reader of the verdict finds nothing of the bytes."""

    async def end(self, running: RunningImport, failure: Failure | None) -> None:
        """Give an import its verdict; without a failure it has it already."""

    async def kept(self, body: Complete, address: str, project_ids: Sequence[str]) -> None:
        """Note that the bytes at an address are images of these projects now."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One step of complete bytes on their way to an image: all that the rest of the importer knows of it.

    Args:
        name: Unique; other stages need it by this name.
        run: Returns the body as it goes on: the given one, one with more in `stages`, or one in a
            staged file of its own, which is then the runner's to discard. None where nothing is left to do.
            Raises a `Failure` to refuse the body for all of its imports.
        needs: Stages that have to come before it.
        adds: What it may add to `stages` of provenance.
        per_attempt: It only judges, while the source can still be asked for other bytes.
        judges: It has to see every import's bytes, so a source is not asked whether those that are here
            already are still its own.
    """

    name: str
    run: Callable[[Carrier, Complete], Awaitable[Complete | None]]
    needs: tuple[str, ...] = ()
    adds: tuple[str, ...] = ()
    per_attempt: bool = False
    judges: bool = False
