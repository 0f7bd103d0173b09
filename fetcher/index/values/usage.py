"""The values of quotas: what a project may hold, and what it holds now."""

import msgspec


class Quota(msgspec.Struct, frozen=True):
    """The most that one project may hold.

    Args:
        max_uploading: Images that are written at the same time; None for any number.
        max_staged_bytes: Waiting for glance-direct; None for any number.
    """

    max_images: int
    max_bytes: int
    max_uploading: int | None = None
    max_staged_bytes: int | None = None
    max_text_bytes: int = 2**63 - 1


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """The present usage of one project.

    Args:
        bytes: Of its images, each in full, also where they share bytes.
        held_bytes: What its running imports have said they will bring, or brought so far.
        uploading: Images that are written now.
        staged_bytes: What waits for glance-direct.
    """

    images: int = 0
    bytes: int = 0
    held_bytes: int = 0
    uploading: int = 0
    staged_bytes: int = 0
