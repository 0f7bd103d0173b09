"""Metadata definitions, as verbs."""

from collections.abc import Callable
from typing import Protocol

from fetcher.index.values import (
    At,
    Bounds,
    Content,
    Item,
    Mode,
    Namespace,
    NamespaceQuery,
    Page,
    ResourceType,
    Whole,
)
from fetcher.model import Actor


class Metadefs(Protocol):
    """Verbs on metadata definitions."""

    async def page(self, actor: Actor, query: NamespaceQuery) -> list[Whole]:
        """List namespaces that the actor sees, each with its associations.

        Raises:
            NotFound: The marker is no namespace that the actor sees.
        """

    async def find(self, name: str, actor: Actor) -> Whole:
        """Return a namespace and everything in it.

        Raises:
            NotFound: There is none, or the actor does not see it.
        """

    async def create(self, namespace: Namespace, content: Content) -> None:
        """Write a new namespace with what is in it, all or nothing.

        Raises:
            Conflict: The name is taken, or stands twice in the content.
            QuotaExceeded: There would be too many definitions.
        """

    async def change(self, name: str, actor: Actor, edit: Callable[[Namespace], Namespace]) -> Namespace:
        """Change a namespace's own attributes.

        Raises:
            NotFound: There is none, or the actor does not see it.
            Forbidden: The actor is no admin.
            Conflict: The new name is taken.
        """

    async def delete(self, name: str, actor: Actor) -> None:
        """Delete a namespace with everything in it.

        Raises:
            NotFound: There is none, or the actor does not see it.
            Forbidden: The actor is no admin, or the namespace is protected.
        """

    async def load(self, namespace: Namespace, content: Content, mode: Mode) -> str:
        """Bring in a definition file: `added`, `changed` or `kept` is what became of its namespace.

        Raises:
            QuotaExceeded: There would be too many definitions.
        """

    async def resource_types(self) -> list[ResourceType]:
        """List the types that definitions can be for."""

    async def items(self, at: At, actor: Actor, page: Page) -> list[Item]:
        """List what of one kind is in a namespace.

        Raises:
            NotFound: There is no such namespace or marker, or the actor does not see it.
        """

    async def item(self, at: At, actor: Actor) -> Item:
        """Return one item.

        Raises:
            NotFound: There is none, or the actor does not see its namespace.
        """

    async def add(self, at: At, actor: Actor, content: Content) -> None:
        """Add items to a namespace.

        Raises:
            NotFound: There is no such namespace, or the actor does not see it.
            Forbidden: The actor is no admin.
            Conflict: A name is taken.
            QuotaExceeded: There would be too many.
        """

    async def edit(self, at: At, actor: Actor, after: Item, bounds: Bounds) -> Item:
        """Put another item in the place of one, under the same or a new name.

        Raises:
            NotFound: There is none, or the actor does not see its namespace.
            Forbidden: The actor is no admin.
            Conflict: The new name is taken.
            QuotaExceeded: It is too large.
        """

    async def remove(self, at: At, actor: Actor) -> None:
        """Delete one item of a namespace, or all of a kind.

        Raises:
            NotFound: There is none, or the actor does not see its namespace.
            Forbidden: The actor is no admin, or the namespace is protected.
        """
