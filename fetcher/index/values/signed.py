"""Signed statements on images, and what is known of the audit trail as a whole."""

from typing import Any

import msgspec


class Unsigned(msgspec.Struct, frozen=True, kw_only=True):
    """An image with the story of its bytes, which a statement is made of."""

    image_id: str
    import_id: str
    story: dict[str, Any]


class Signed(msgspec.Struct, frozen=True, kw_only=True):
    """An image's signed statement, as JSON."""

    image_id: str
    key_id: str
    envelope: str


class AuditHead(msgspec.Struct, frozen=True, kw_only=True):
    """The last line of the trail; kept elsewhere, it proves later that nothing before it was changed.

    Args:
        number: Of the line.
        digest: Of the line, and by it of all lines before it.
    """

    number: int
    digest: str

    def __str__(self) -> str:
        """Print as `number:digest`."""
        return f"{self.number}:{self.digest}"


class AuditReport(msgspec.Struct, frozen=True, kw_only=True):
    """The findings of a check of the whole trail.

    Args:
        head: Its last line.
        lines: How many there are.
        unchained: Those of versions that did not chain them; nothing is known of them.
        faults: What is wrong, in words; empty for a whole trail.
    """

    head: AuditHead
    lines: int
    unchained: int
    faults: list[str]
