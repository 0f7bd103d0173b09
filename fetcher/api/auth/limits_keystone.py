"""Keystone's unified limits as quotas: asked for every so often, laid over the operator's own.

Like the identity face, this leads to the one address that the operator
configured. Names and units are Glance's, so what was set for it goes on.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import structlog
from keystoneauth1 import exceptions
from keystoneauth1.session import Session

from fetcher.api.auth.keystone import open_session
from fetcher.config import Current
from fetcher.settings.guards.quota import UNLIMITED, ProjectQuota, Quota

log = structlog.get_logger()

MIB = 1_048_576
# Glance's name of a limit: our key, and what one of its units is.
NAMES = {
    "image_count_total": ("max_images", 1),
    "image_size_total": ("max_bytes", MIB),
    "image_count_uploading": ("max_uploading", 1),
    "image_stage_total": ("max_staged_bytes", MIB),
}


class _Registered(msgspec.Struct, frozen=True):
    resource_name: str
    default_limit: int


class _Limit(msgspec.Struct, frozen=True):
    resource_name: str
    resource_limit: int
    project_id: str | None = None


class _Endpoint(msgspec.Struct, frozen=True):
    service_id: str
    region_id: str | None = None


class Limits(msgspec.Struct, frozen=True):
    """Keystone's limits, under our keys and in our units.

    Args:
        defaults: Of every project.
        projects: By project, where it differs.
    """

    defaults: dict[str, int]
    projects: dict[str, dict[str, int]]

    def over(self, quota: Quota) -> Quota:
        """Return the operator's quotas with these over them."""
        base = {entry.project: entry for entry in quota.projects}
        general = msgspec.structs.replace(quota, **self.defaults, projects=[])
        merged = []
        for project in dict.fromkeys([*base, *self.projects]):
            own = msgspec.structs.asdict(base[project]) if project in base else _all_of(general, project)
            values = {**own, "project": project, **self.projects.get(project, {})}
            merged.append(ProjectQuota(**values))
        return msgspec.structs.replace(general, projects=merged)


def _all_of(quota: Quota, project: str) -> dict[str, int]:
    keys = ("max_images", "max_bytes", "max_uploading", "max_staged_bytes")
    return dict(zip(keys, quota.all_of(project), strict=True))


class UnifiedLimits:
    """Asks Keystone for limits, and hands them on.

    Args:
        take: Called every time that Keystone has answered.
    """

    def __init__(self, current: Current, take: Callable[[Limits], None]) -> None:
        self._current = current
        self._take = take
        self._session: Session = open_session(current.settings.keystone, is_system=True)

    async def refresh(self) -> bool:
        """Ask once; False when Keystone gave no answer, and what held before holds on."""
        try:
            self._take(await asyncio.to_thread(self._fetch))
        except (exceptions.ClientException, msgspec.DecodeError, KeyError, ValueError, OSError) as error:
            log.warning("limits.away", error=repr(error))
            return False
        return True

    async def run(self) -> None:
        """Ask again and again."""
        while True:
            await asyncio.sleep(self._current.settings.keystone.limits_seconds)
            await self.refresh()

    def close(self) -> None:
        """Close the connections."""
        self._session.session.close()

    def _fetch(self) -> Limits:
        """Ask Keystone; blocks, so it runs in a thread."""
        keystone = self._current.settings.keystone
        endpoint = self._get(f"endpoints/{keystone.endpoint_id}", "endpoint", _Endpoint)
        query = f"?service_id={endpoint.service_id}"
        query += f"&region_id={endpoint.region_id}" if endpoint.region_id else ""
        defaults = self._get(f"registered_limits{query}", "registered_limits", list[_Registered])
        limits = self._get(f"limits{query}", "limits", list[_Limit])
        projects: dict[str, dict[str, int]] = {}
        for limit in limits:
            if limit.project_id is not None and limit.resource_name in NAMES:
                key, value = _converted(limit.resource_name, limit.resource_limit)
                projects.setdefault(limit.project_id, {})[key] = value
        known = (entry for entry in defaults if entry.resource_name in NAMES)
        return Limits(dict(_converted(entry.resource_name, entry.default_limit) for entry in known), projects)

    def _get(self, path: str, name: str, kind: Any) -> Any:
        base = self._current.settings.keystone.auth_url.rstrip("/")
        answer = self._session.get(
            f"{base}/{path}", headers={"Accept": "application/json"}, authenticated=True, redirect=False
        )
        return msgspec.convert(answer.json()[name], kind)


def _converted(name: str, value: int) -> tuple[str, int]:
    key, unit = NAMES[name]
    return key, UNLIMITED if value < 0 else min(value * unit, UNLIMITED)
