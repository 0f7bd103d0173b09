"""The declaration of an import method, made once."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from fetcher.config import Settings
from fetcher.errors import Failure
from fetcher.importer.records.running_import import RunningImport
from fetcher.index.values import Secrets
from fetcher.model import Actor, Import, Submission
from fetcher.transport import Gate

Text = Annotated[str, Meta(max_length=255)]


class Flow(StrEnum):
    """The way in which bytes come, which decides who carries the import."""

    FETCH = "fetch"  # From a URL: the scheduler finds it a job.
    SEND = "send"  # In the request's body, for the image.
    STAGE = "stage"  # In the request's body, for a later import.
    STAGED = "staged"  # They came before.


class NoBody(msgspec.Struct, frozen=True):
    """A method that needs nothing but its name."""


def _as_it_is(_body: Mapping[str, Any], submission: Submission, _settings: Settings) -> Submission:
    return submission


def _nothing(_record: Import) -> dict[str, Any]:
    return {}


def _no_words(_failure: Failure) -> tuple[str, str] | None:
    return None


def _never(_actor: Actor, _settings: Settings) -> bool:
    return False


Prepare = Callable[[Gate, RunningImport, Secrets, Settings], Awaitable[Secrets]]


@dataclass(frozen=True, kw_only=True)
class ImportMethod:
    """One way for bytes to come into an image: all that the rest of the service has to know of it.

    Args:
        name: As the Image API, records and tasks name it; never changed and never reused.
        body: Fields that its call may hold beside the name, with their types.
        is_offered: Whether a caller may ask for it by name, which is what discovery shows them;
            bodies that are sent have routes of their own and are not asked for.
        to_submission: Makes of a call's fields what the importer is asked for.
        prepare: Asked once for each job, before the bytes are: where they really are.
        shown: What a task shows of the call, without secrets.
        words: Title and advice of a failure, where those of the table speak of a URL and its source.
        takes_token: The caller's own token goes along to the source.
        is_shared: Equal imports may share one job.
        unrepeatable_reason: Why the bytes cannot be asked for again to repair a blob; None where they can.
    """

    name: str
    flow: Flow
    body: type[msgspec.Struct] = NoBody
    is_offered: Callable[[Actor, Settings], bool] = _never
    to_submission: Callable[[Mapping[str, Any], Submission, Settings], Submission] = _as_it_is
    prepare: Prepare | None = None
    shown: Callable[[Import], dict[str, Any]] = _nothing
    words: Callable[[Failure], tuple[str, str] | None] = _no_words
    takes_token: bool = False
    is_shared: bool = False
    unrepeatable_reason: str | None = None

    @property
    def is_sent(self) -> bool:
        """Somebody sends the bytes and waits for the answer: nobody can take that up after a restart."""
        return self.flow in {Flow.SEND, Flow.STAGE}
