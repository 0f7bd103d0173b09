"""Signed statements on images, as verbs."""

from datetime import datetime
from typing import Protocol

from fetcher.index.values import Signed, Unsigned
from fetcher.model import Actor


class Attestations(Protocol):
    """Verbs on attestations."""

    async def unsigned(self, *, limit: int = 100) -> list[Unsigned]:
        """Return images with bytes and a story of which nothing was signed yet."""

    async def story(self, image_id: str, actor: Actor) -> Unsigned | None:
        """Return the story of an image that the actor may read; None where it has none.

        Raises:
            UnknownImage: There is none, or it is not the actor's to see.
        """

    async def find(self, image_id: str) -> Signed | None:
        """Return what was signed of an image; None where nothing was yet."""

    async def page(self, *, after: str = "", limit: int = 1000) -> list[Signed]:
        """Return all of them in the order of their images' ids, a page at a time."""

    async def keep(self, unsigned: Unsigned, key_id: str, envelope: str, now: datetime) -> bool:
        """Keep what was signed; False where the image is gone, has another story, or was signed meanwhile."""
