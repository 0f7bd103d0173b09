"""The guard: an inspector, and the policy on what it finds."""

from collections.abc import Callable, Sequence

from fetcher.config import Settings
from fetcher.errors import Failure
from fetcher.guards.base import Guard, Limit
from fetcher.guards.spec import SENT, GuardContext, GuardSpec, Purpose
from fetcher.guards.stream.formats.advice import AMAZON
from fetcher.guards.stream.formats.inspector import Inspector
from fetcher.guards.stream.formats.naming import name_content as name_by_libmagic
from fetcher.guards.stream.formats.policy import Policy
from fetcher.model import FormatVerdict

SKIMMED_UNITS = 256  # Of each chunk: a fraction of a millisecond.
SLICE_UNITS = 4_096  # A few milliseconds, then others get their turn.


class FormatGuard:
    """Refuses what is not the disk image it is said to be, or not safe to boot from.

    Keeps the last 64 KiB, and the first until they have been looked at. A wrong
    image is refused when its head is known, the rest of the checks come with
    the bytes they need.

    Args:
        disk_formats: What the operator accepts, by the Image API's names.
        container_formats: Likewise.
        max_virtual_bytes: The largest disk that an image may describe.
        claimed_disk_format: What the submitter said; None to find out.
        claimed_container_format: Likewise.
        name_content: Names what is none of ours, for messages; no verdict depends on it.
        max_bytes: What the import may hold; an image that has to be longer is refused at once.
        takes_encrypted: Whether a LUKS volume that is claimed to be raw passes.
        is_upload: The bytes were sent, not pulled.

    Attributes:
        verdict: What it is: provisional from the head on, the last word after `finish`.

    Raises:
        EmptySource: From `finish`, without any byte.
        FormatAmbiguous: It is several formats at once.
        FormatMismatch: It is not what was claimed.
        FormatUnknown: It is nothing that is accepted.
        FormatUnsafe: It breaks a rule of its format, or reaches outside itself.
        TooManyBytes: By its own tables it is longer than `max_bytes`.
        VirtualSizeExceeded: The disk that it describes is too large.
    """

    def __init__(  # noqa: PLR0913 # each is a setting or a claim of its own, given by name
        self,
        *,
        disk_formats: Sequence[str],
        container_formats: Sequence[str],
        max_virtual_bytes: int,
        claimed_disk_format: str | None = None,
        claimed_container_format: str | None = None,
        name_content: Callable[[bytes], str | None] = name_by_libmagic,
        max_bytes: int | None = None,
        takes_encrypted: bool = False,
        is_upload: bool = False,
    ) -> None:
        self._policy = Policy(
            disk_formats=tuple(disk_formats),
            container_formats=tuple(container_formats),
            max_virtual_bytes=max_virtual_bytes,
            disk=claimed_disk_format or _implied(claimed_container_format),
            container=claimed_container_format or _implied(claimed_disk_format),
            name_content=name_content,
            max_bytes=max_bytes,
            takes_encrypted=takes_encrypted,
            is_upload=is_upload,
        )
        self._inspector = Inspector(self._judge)
        self.verdict: FormatVerdict | None = None
        self._refusal: Failure | None = None

    def feed(self, chunk: bytes) -> None:
        """Look at the next bytes; raises as soon as they, with those before, have to be refused."""
        if self._refusal is not None:
            raise self._refusal
        self._inspector.feed(chunk)

    def skim(self, chunk: bytes) -> bool:
        """Look at the next bytes as far as that is quick; return whether that is all of them.

        Otherwise call `go_on`, in any thread, until nothing is left.
        """
        if self._refusal is not None:
            raise self._refusal
        return self._inspector.skim(chunk, SKIMMED_UNITS)

    def go_on(self) -> bool:
        """Look at a slice of what `skim` left; return whether nothing is left."""
        return self._inspector.go_on(SLICE_UNITS)

    def finish(self) -> None:
        """Judge the whole, after the last byte."""
        if self._refusal is not None:
            raise self._refusal
        self._inspector.finish()

    @property
    def fault(self) -> Exception | None:
        """Return what our inspector stumbled over, if it did: for the log."""
        return self._inspector.fault

    @property
    def retained_bytes(self) -> int:
        """Return how many bytes of the stream are kept alive."""
        return self._inspector.retained_bytes

    def _judge(self) -> None:
        try:
            self.verdict = self._policy.judge(self._inspector.report(), self._inspector.head)
        except Failure as refusal:
            self.verdict = None
            self._refusal = refusal
            raise

    @staticmethod
    def limits(settings: Settings) -> tuple[Limit, ...]:
        """Publish what is accepted."""
        return (
            Limit(
                name="disk_formats",
                type="array",
                value=list(settings.format.disk_formats),
                description="The disk formats that are accepted, found out from the bytes.",
                guard="format",
            ),
            Limit(
                name="container_formats",
                type="array",
                value=list(settings.format.container_formats),
                description="The container formats that are accepted; compressed images stay as they are.",
                guard="format",
            ),
            Limit(
                name="max_virtual_bytes",
                type="integer",
                value=settings.size.max_virtual_bytes,
                description="The largest disk, in bytes, that an image may describe, however small its file.",
                guard="format",
            ),
        )


def _implied(other: str | None) -> str | None:
    """Return what follows from the other claim: ami, ari and aki are always both."""
    return other if other in AMAZON else None


def acts(context: GuardContext) -> bool:
    """Return whether a body is looked at: bytes that are sent need not be an accepted format."""
    return context.settings.format.enforce_on_upload or context.purpose not in SENT


def build(context: GuardContext) -> Guard | None:
    """Return the guard for one body; None where nobody looks at it."""
    settings, submission = context.settings, context.submission
    if not acts(context):
        return None
    return FormatGuard(
        disk_formats=settings.format.disk_formats,
        container_formats=settings.format.container_formats,
        max_virtual_bytes=settings.size.max_virtual_bytes,
        max_bytes=submission.max_bytes,
        claimed_disk_format=submission.disk_format,
        claimed_container_format=submission.container_format,
        takes_encrypted=context.takes_encrypted,
        is_upload=not submission.url,
    )


GUARD = GuardSpec(
    name="format",
    title="Formats",
    sections=("format", "size"),
    limits=FormatGuard.limits,
    build=build,
    acts=acts,
    not_for={
        Purpose.REPAIR: "These very bytes were judged when they came; their digest has to be the same.",
        Purpose.PACKED: "What is in them is looked at; the unpacking judges what is around it.",
    },
)
