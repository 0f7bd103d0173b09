"""The declaration of a guard: its name, its limits, and how it is built or asked."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

from fetcher.config import Settings
from fetcher.guards.base import Guard, Limit
from fetcher.guards.request.url import CheckedUrls
from fetcher.model import Submission


class Purpose(StrEnum):
    """The purpose for which bytes are judged."""

    PULL = "pull"
    """They come from a URL, on a server or by the command that needs none."""
    REPLAY = "replay"
    """An earlier process left them; what comes after them is pulled."""
    REVALIDATION = "revalidation"
    """They are in the store, and their source says that it has no newer ones."""
    UPLOAD = "upload"
    """They are sent for an image."""
    STAGE = "stage"
    """They are sent to be imported later."""
    REPAIR = "repair"
    """They replace bytes that the store has lost, and have to be the very same."""
    INSPECT = "inspect"
    """Somebody wants to know what an import would say of them."""
    PACKED = "packed"
    """They come packed; what is in them is judged besides, for the purpose that they come for."""
    CONVERT = "convert"
    """They are a local image that is converted or booted, or the result of that."""

    @classmethod
    def of_method(cls, method: str) -> "Purpose":
        """Return why the bytes of an import by this method were judged."""
        return {"upload": cls.UPLOAD, "stage": cls.STAGE, "glance-direct": cls.STAGE}.get(method, cls.PULL)


SENT = frozenset({Purpose.UPLOAD, Purpose.STAGE})
"""Purposes of bytes that a client sends, which nobody asks for."""


@dataclass(frozen=True, kw_only=True)
class Headroom:
    """The rest of a project's quota.

    Args:
        quota_bytes: What the project may hold.
        used_bytes: What its images hold.
        coming: Tells what its earlier imports bring meanwhile, in bytes.
    """

    quota_bytes: int
    used_bytes: int
    coming: Callable[[], int] = lambda: 0


@dataclass(frozen=True, kw_only=True)
class GuardContext:
    """All that a guard may know when it is built.

    Args:
        purpose: Why the bytes are judged.
        settings: The limits in force.
        submission: What is claimed of the bytes, and how many there may be.
        takes_encrypted: Whether a LUKS volume may come as raw.
        headroom: What the quota leaves; None where each import is held to it at its end.
        clock: Seconds spent waiting for the peer; only guards of one attempt have it.
    """

    purpose: Purpose
    settings: Settings
    submission: Submission
    takes_encrypted: bool = False
    headroom: Headroom | None = None
    clock: Callable[[], float] = lambda: 0.0


@dataclass(frozen=True, kw_only=True)
class GuardSpec:
    """One guard, declared once, at the end of its own file.

    A guard acts in one or more of four ways: `build` makes what sees every
    byte, `check_submission` and `check_urls` are asked when an import is submitted, `checks`
    are called by the room where what they judge comes up, and `keys` are held
    to where there is nothing to call.

    Args:
        name: What its limits, provenance and answers call it.
        title: What people read above its limits.
        sections: Of `config.toml`, which hold its limits.
        limits: Tells what is in force.
        build: Makes the guard of one body; None where the context leaves nothing to guard.
        acts: Tells whether `build` would make one; to be given where it may make none.
        per_attempt: It judges the peer of one attempt, not the body as a whole.
        not_for: Purposes for which it is not built, each with the reason. It runs for all others, later
            ones too.
        check_submission: Refuses what could never be fetched, by raising a Failure.
        check_urls: Likewise, by the URLs of a submission; asked after `check_submission`. What they were
            judged to be is carried on to the import.
        fields: Those of a submission that these two judge: they are asked only where it has one of them.
            Without any they are always asked.
        checks: Functions that refuse, where they are called.
        keys: Of its sections, which another room reads and enforces.
    """

    name: str
    title: str
    sections: tuple[str, ...]
    limits: Callable[[Settings], tuple[Limit, ...]]
    build: Callable[[GuardContext], Guard | None] | None = None
    acts: Callable[[GuardContext], bool] | None = None
    per_attempt: bool = False
    not_for: Mapping[Purpose, str] = field(default_factory=dict)
    check_submission: Callable[[Submission, Settings], None] | None = None
    check_urls: Callable[[Submission, CheckedUrls], None] | None = None
    fields: tuple[str, ...] = ()
    checks: tuple[Callable[..., object], ...] = ()
    keys: tuple[str, ...] = ()

    @cached_property
    def is_of_network(self) -> bool:
        """Return whether it judges how bytes are asked for, where they are."""
        return bool(self.checks) or self._is_asked

    @property
    def _is_asked(self) -> bool:
        return self.check_submission is not None or self.check_urls is not None

    def __post_init__(self) -> None:
        """Refuse a declaration that would leave a hole.

        Raises:
            ValueError: Nothing would run, or a body would lose the guard on its way.
        """
        if self.build is None and not self._is_asked and not self.checks and not self.keys:
            raise ValueError(f"the guard {self.name} never runs: nothing builds, asks, calls or reads it")
        unknown = set(self.fields) - set(Submission.__struct_fields__)
        if unknown:
            raise ValueError(f"the guard {self.name} judges what no submission has: {', '.join(unknown)}")
        if (Purpose.PULL in self.not_for) != (Purpose.REPLAY in self.not_for):
            raise ValueError(f"the guard {self.name} has to treat a replay as the pull that goes on from it")
