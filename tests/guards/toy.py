"""A toy guard that refuses one word, and remembers for what it was built."""

from fetcher.config import Settings
from fetcher.errors import FormatUnsafe, InvalidRequest
from fetcher.guards.base import Limit
from fetcher.guards.spec import GuardContext, GuardSpec, Purpose
from fetcher.model import Submission

WORD = b"ABRACADABRA"
REASON = "it holds the word"


class ToyGuard:
    """Refuses bytes that hold the word, wherever chunks end."""

    def __init__(self) -> None:
        self._end = b""

    def feed(self, chunk: bytes) -> None:
        """Look for the word."""
        seen = self._end + chunk
        if WORD in seen:
            raise FormatUnsafe(format="toy", rule="word", reason=REASON)
        self._end = seen[-len(WORD) :]

    def finish(self) -> None:
        """Pass: the word has not come."""


def limits(_settings: Settings) -> tuple[Limit, ...]:
    """Publish the word's length."""
    return (
        Limit(
            name="toy_word_bytes",
            type="integer",
            value=len(WORD),
            description="How long the word is that no image may hold.",
            guard="toy",
        ),
    )


class Toy:
    """The guard's declaration, and the purposes that it was built for.

    Args:
        per_attempt: It judges attempts instead of whole bodies.
    """

    def __init__(self, *, per_attempt: bool = False) -> None:
        self.purposes: set[Purpose] = set()
        self.spec = GuardSpec(
            name="toy",
            title="Toys",
            sections=("format",),
            limits=limits,
            build=self._build,
            per_attempt=per_attempt,
            check_submission=self._check,
        )

    def _build(self, context: GuardContext) -> ToyGuard:
        self.purposes.add(context.purpose)
        return ToyGuard()

    def _check(self, submission: Submission, _settings: Settings) -> None:
        if submission.name == "toy":
            raise InvalidRequest(field="name", reason="no toys are taken")
