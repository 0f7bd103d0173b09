"""Images that are kept new."""

from datetime import date, datetime
from typing import Literal

import msgspec

from fetcher.index.values.imports import WebhookTarget
from fetcher.model import Visibility

Retire = Literal["hide", "show"]


class ScheduleRules(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule.

    Args:
        catalogue: The name that is asked for, such as `ubuntu:26.04`.
        name: What the newest image is called, always.
        keep: How many images stay, the newest among them; 0 keeps all.
        retire: Whether lists show the older ones.
        interval_seconds: Between two looks.
    """

    catalogue: str
    name: str
    keep: int
    retire: Retire
    interval_seconds: float
    visibility: Visibility = "private"
    convert_to: Literal["as-received", "raw", "qcow2"] | None = None
    properties: dict[str, str] = {}


class ScheduleProgress(msgspec.Struct, frozen=True, kw_only=True):
    """The progress of a schedule.

    Args:
        serial: Of the newest image.
        wanted_serial: Of the import that runs.
        tries: How many imports came to nothing: makes each try one of its own.
        code: How the last look ended: `ok`, `unchanged`, `running`, or the code of a failure.
        detail: The failure, in words.
        end_of_life: As the catalogue says.
    """

    serial: str | None = None
    image_id: str | None = None
    import_id: str | None = None
    wanted_serial: str | None = None
    tries: int = 0
    code: str | None = None
    detail: str = ""
    checked_at: datetime | None = None
    changed_at: datetime | None = None
    end_of_life: date | None = None


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """One image that is kept new, for one project.

    Args:
        receiver: Notified of the end of each import of this schedule; shown to nobody.
    """

    id: str
    project_id: str
    user_id: str
    rules: ScheduleRules
    progress: ScheduleProgress = ScheduleProgress()
    next_at: datetime
    created_at: datetime
    receiver: WebhookTarget | None = None
