"""The protocol between a job and its scheduler."""

from collections.abc import Mapping
from typing import Protocol

from fetcher.importer.records.running_import import RunningImport


class Place(Protocol):
    """A job's place among the others, which the scheduler keeps."""

    def seal(self) -> None:
        """Let nobody join any more."""

    def ended(self, import_id: str) -> None:
        """Let go of an import that is done with."""

    async def go(self, origin: str) -> None:
        """Take the job's own connection to another origin, once there is room."""

    @property
    def running_imports(self) -> Mapping[str, RunningImport]:
        """Return who runs now, whatever they wait for, by their ids."""
