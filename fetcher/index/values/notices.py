"""The values of notices: which notifications are due, and which may be sent now."""

from datetime import datetime

import msgspec

from fetcher.index.values.imports import WebhookTarget


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """A notification that is due."""

    import_id: str
    project_id: str
    webhook: WebhookTarget
    due_at: datetime


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """The webhooks that are due and may start.

    Args:
        now: The machine's date.
        far: Later than any wait from now: what is due after it was noted before the clock was set back.
        waited: Imports whose wait is over, whatever the date says.
        but_imports: Those that are left out.
        but_projects: Likewise.
        but_receivers: Likewise: project and URL.
    """

    now: datetime
    far: datetime
    waited: list[str]
    but_imports: list[str]
    but_projects: list[str]
    but_receivers: list[tuple[str, str]]
