"""The values of pulls: what a crash must not lose of them, and where earlier ones led."""

import msgspec

from fetcher.model import Blob


class ResumeState(msgspec.Struct, frozen=True, kw_only=True):
    """A download that has not ended.

    Args:
        id: Of the pull; files in staging are named after it.
        request: A digest of everything that makes two requests equal, secrets and all.
        staged: The name of the file that holds the bytes; nothing before the first checkpoint.
        source: Which of the URLs they came from, counted from 0.
        validator: What a range may be bound to there.
        declared_bytes: Of the whole.
        kept_bytes: Durable, from the first on.
        kept_digest: Of these; `algorithm_of` gives the algorithm.
        spent_bytes: Pulled in all, lost ones too.
        spent_seconds: Likewise.
        consecutive_failures: Attempts in a row that brought nothing to go on from.
    """

    id: str
    request: str
    staged: str = ""
    source: int = 0
    validator: str | None = None
    declared_bytes: int | None = None
    kept_bytes: int = 0
    kept_digest: str = ""
    spent_bytes: int = 0
    spent_seconds: float = 0.0
    consecutive_failures: int = 0


class Remembered(msgspec.Struct, frozen=True, kw_only=True):
    """The version that a URL held when it was last downloaded.

    Args:
        projects: Whose pulls found these bytes under this entity tag.
    """

    etag: str
    blob: Blob
    projects: frozenset[str]
