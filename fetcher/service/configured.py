"""The settings that hold now: the operator's file, and what is laid over it."""

import asyncio
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import msgspec
import structlog

from fetcher import __version__
from fetcher.config import BadConfig, Current, Settings, data_folder, load_settings
from fetcher.engine.values import Host
from fetcher.exporter.senders.registry import unknown_kinds
from fetcher.index.values import Quota

if TYPE_CHECKING:
    from fetcher.api.auth.limits_keystone import Limits

log = structlog.get_logger()


class Configured(Current):
    """The settings of one service, which SIGHUP may replace, and what follows from them.

    Args:
        config: The operator's file, or None for the base file alone.
        changes: What the command line says on top.
        loaded: What both say, where that has been read and judged already.

    Attributes:
        ports: Clients reach us at these; no import may.
    """

    def __init__(
        self,
        config: Path | None,
        changes: dict[str, dict[str, Any]] | None = None,
        loaded: Settings | None = None,
    ) -> None:
        self._config = config
        self._changes = changes or {}
        self._limits: Limits | None = None
        self._quotas: tuple[object, dict[str, Quota]] = (None, {})
        self._file = self._judged(loaded) if loaded is not None else self._load()
        super().__init__(self._file)
        self.ports: set[int] = set()
        self.folder = data_folder(self.settings, config)

    def _load(self) -> Settings:
        """Read the file."""
        return self._judged(load_settings(self._config, self._changes))

    def _judged(self, settings: Settings) -> Settings:
        """Check what the sections cannot know of each other's rooms."""
        if mistakes := unknown_kinds(settings):
            raise BadConfig(mistakes)
        return settings

    def reload(self) -> None:
        """Take up an edited file; a bad one is refused and the old limits stay."""
        self._take(self._valid_settings())

    async def reload_beside(self) -> None:
        """Take up an edited file that is read and judged off the loop: that takes some 20 ms."""
        self._take(await asyncio.to_thread(self._valid_settings))

    def _valid_settings(self) -> Settings | None:
        """Return the settings of the file; None, and why in the log, where it is a bad one."""
        try:
            return self._load()
        except BadConfig as error:
            mistakes = [str(mistake) for mistake in error.mistakes]
            log.error("config.refused", mistakes=mistakes)  # noqa: TRY400 - the mistakes are the news, not where
            return None

    def _take(self, settings: Settings | None) -> None:
        if settings is not None:
            self._file = settings
            self._lay_over()
            log.info("config.taken")

    def take_limits(self, limits: "Limits") -> None:
        """Let Keystone's limits hold from now on."""
        self._limits = limits
        self._lay_over()

    def _lay_over(self) -> None:
        quota = self._file.quota if self._limits is None else self._limits.over(self._file.quota)
        self.settings = msgspec.structs.replace(self._file, quota=quota)

    def reserve(self, total_bytes: int) -> int:
        """Return how much of a file system must stay free."""
        rules = self.settings.store
        return max(rules.reserve_bytes, int(total_bytes * rules.reserve_percent / 100))

    def quota_of(self, project_id: str) -> Quota:
        """Return what a project may hold now; made once for the same settings, as every write asks."""
        rules, (made_of, quotas) = self.settings.quota, self._quotas
        if made_of is not rules:
            names = ("", *(entry.project for entry in rules.projects))  # No project has no name.
            quotas = {name: Quota(*rules.all_of(name), rules.max_text_bytes) for name in names}
            self._quotas = (rules, quotas)
        return quotas.get(project_id) or quotas[""]

    def host(self) -> Host:
        """Return who this process is among the hosts that share an index."""
        rules, settings = self.settings.cluster, self.settings
        # The folder's lock is one process's: with it, the name is too.
        name = rules.host or f"{platform.node()}:{self.folder}"
        return Host(
            name=name if settings.index.is_shared else Host().name,
            start=str(uuid4()),
            engine=settings.engine.kind if settings.index.is_shared else Host().engine,
            roles=tuple(rules.roles),
            version=__version__,
            lease_seconds=settings.imports.lease_seconds,
        )
