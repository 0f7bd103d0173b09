"""The question to a source and the head of its answer, as values."""

from collections.abc import Sequence

import msgspec


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """The request that an answer has to fit.

    Args:
        offset: The first byte.
        length: How many bytes; None means all that follow.
        if_range: The validator that the range was bound to.
        conditional: Whether 304 is an answer.
        path: Of the URL, for its last suffix.
        names: Likewise of the URLs that redirected here.
    """

    offset: int = 0
    length: int | None = None
    if_range: str | None = None
    conditional: bool = False
    path: str = "/"
    names: Sequence[str] = ()

    @property
    def is_range(self) -> bool:
        """Return whether a part of the whole was asked for."""
        return self.offset > 0 or self.length is not None


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """The head of an answer as it came.

    Args:
        version: Of HTTP: major and minor.
        reason: What follows the status; of no use but to be well-formed.
        fields: In their order, repeated ones too.
    """

    status: int
    version: tuple[int, int] = (1, 1)
    reason: str = ""
    fields: Sequence[tuple[str, str]] = ()


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """The head of an answer that passed.

    Args:
        declared_bytes: Of the whole representation, where it says so.
        body_bytes: Of this answer's body, where it says so.
        is_chunked: The body says itself where it ends.
        offset: Where in the whole the body begins.
        coding: The content coding that the bytes were labelled with and kept in.
        undone: The content coding that has to be undone, gzip or deflate; nothing that the head says of
            bytes and versions then holds for what comes out.
        may_hold_chunks: The label says aws-chunked: see `check_chunks`.
    """

    status: int
    declared_bytes: int | None
    body_bytes: int | None
    is_chunked: bool
    offset: int
    etag: str | None
    last_modified: str | None
    accepts_ranges: bool
    coding: str | None = None
    undone: str | None = None
    may_hold_chunks: bool = False
