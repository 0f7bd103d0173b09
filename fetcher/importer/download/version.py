"""The version of a file whose bytes are being put together, as far as its source has stated it."""

from fetcher.importer.download.validator import validator_of
from fetcher.index.values import ResumeState
from fetcher.transport import Source


class Version:
    """The known facts about it, which bind the next answer to the bytes that are in.

    Attributes:
        validator: Proves that an answer is of this version; None where nothing does.
        source: Which URL it holds for: another mirror has validators of its own.
        declared_bytes: Of the whole, where the source said so.
        stated_digests: By the source, with its answer.
        is_pieced: The bytes are of more than one answer.
        etag: Of the whole, where it came in one piece from the first URL.
        headers: Of the last answer with bytes.
    """

    def __init__(self, resume_state: ResumeState) -> None:
        self.validator = resume_state.validator
        self.source = resume_state.source
        self.declared_bytes = resume_state.declared_bytes
        self.stated_digests: dict[str, str] = {}
        self.is_pieced = False
        self.etag: str | None = None
        self.headers: dict[str, str] = {}

    def binds(self, current: int) -> bool:
        """Return whether the validator shows if the URL that is asked now still has this version."""
        return bool(self.validator) and self.source == current

    def note(self, source: Source, current: int, received_bytes: int) -> None:
        """Note what an answer says, whose bytes go behind those that are in."""
        self.is_pieced = received_bytes > 0
        self.validator = validator_of(source) or (self.validator if self.is_pieced else None)
        self.source = current
        self.declared_bytes = source.declared_bytes
        # What was said with the first bytes holds for those that follow.
        self.stated_digests = (self.stated_digests if self.is_pieced else {}) | source.digests
        self.headers = source.headers
        is_first = not current and not self.is_pieced
        is_strong = source.etag is not None and self.validator == source.etag
        self.etag = source.etag if is_first and is_strong else None
