"""Imports as the Image API lists them, as verbs."""

from typing import Protocol

from fetcher.index.values import Rows, TaskQuery
from fetcher.model import Actor, Import


class Tasks(Protocol):
    """Verbs on imports seen as tasks."""

    async def page(self, actor: Actor, query: TaskQuery) -> Rows[Import]:
        """Return a page of the imports that the actor may see.

        Raises:
            InvalidRequest: There is no import to begin after.
        """

    async def find(self, import_id: str, actor: Actor, methods: tuple[str, ...]) -> Import:
        """Return one import by these methods.

        Raises:
            UnknownImport: There is none, or it is another project's.
        """
