"""Structured logs: text on a terminal, JSON elsewhere; untrusted text cannot break a line."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO, cast

import structlog

from fetcher.config import Settings
from fetcher.log_lines import STDERR


def set_up_logs(settings: Settings) -> None:
    """Send our own and the libraries' logs to standard error in one form; it may be slow, full or gone."""
    level = getattr(logging, settings.log.level.upper())
    is_text = settings.log.format == "text" or (settings.log.format == "auto" and sys.stderr.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    form: Any = structlog.dev.ConsoleRenderer() if is_text else structlog.processors.JSONRenderer()
    faults = [] if is_text else [structlog.processors.format_exc_info]
    structlog.configure(
        processors=[*shared, *faults, _one_line, form],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(cast(TextIO, STDERR)),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(cast(TextIO, STDERR))
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared, processors=[_without_meta, *faults, _one_line, form]
        )
    )
    logging.basicConfig(level=max(level, logging.WARNING), handlers=[handler], force=True)


def _without_meta(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    event.pop("_record", None)
    event.pop("_from_structlog", None)
    return event


def _one_line(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Escape control characters, so that no URL or header can forge a line or move a terminal's cursor."""
    return {key: _plain(value) if key != "exception" else value for key, value in event.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, str) and not value.isprintable():
        return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in value)
    return value
