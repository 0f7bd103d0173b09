"""The log."""

from typing import Literal

from fetcher.settings.base import Seconds, Section


class Log(Section, frozen=True, kw_only=True):
    """The log."""

    level: Literal["debug", "info", "warning", "error"]
    format: Literal["auto", "text", "json"]
    held_loop_seconds: Seconds
