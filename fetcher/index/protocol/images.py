"""Images and their blobs, as verbs."""

from collections.abc import Callable
from typing import Protocol

from fetcher.index.values import ImageLine, ImageQuery, Rows
from fetcher.model import Actor, Image


class Images(Protocol):
    """Verbs on images."""

    async def find(self, image_id: str, actor: Actor) -> Image:
        """Return one image that the actor may read.

        Raises:
            UnknownImage: There is none, or it is not the actor's to see.
        """

    async def line(self, image_id: str, actor: Actor) -> ImageLine:
        """Return the same image, as it is shown.

        Raises:
            UnknownImage: There is none, or it is not the actor's to see.
        """

    async def page(self, actor: Actor, query: ImageQuery) -> Rows[Image]:
        """Return a page of the images that the actor sees.

        Raises:
            InvalidRequest: The marker is no image that the actor may read.
        """

    async def lines(self, actor: Actor, query: ImageQuery) -> Rows[ImageLine]:
        """Return the same page, as lists show it.

        Raises:
            InvalidRequest: The marker is no image that the actor may read.
        """

    async def create(self, image: Image) -> None:
        """Write a new image that waits for its bytes.

        Raises:
            Conflict: The id is or was another image's.
        """

    async def edit(self, image_id: str, actor: Actor, change: Callable[[Image], Image]) -> Image:
        """Change an image in one step; `change` sees it as it is at that moment.

        Raises:
            UnknownImage: There is none, or it is not the actor's to see.
            Forbidden: It is another project's.
            Failure: What `change` raises.
        """

    async def check_deletable(self, image_id: str, actor: Actor) -> str | None:
        """Return whether an image may be deleted; the id of an import that still writes it is returned.

        Raises:
            UnknownImage: There is none, or it is not the actor's to see.
            Forbidden: It is protected or another project's.
        """

    async def delete(self, image_id: str, actor: Actor) -> str | None:
        """Delete an image; the address of its blob is returned when nothing needs the blob any more.

        Raises:
            UnknownImage: There is none, or it is not the actor's to see.
            Forbidden: It is protected or another project's.
            Conflict: An import is writing it.
        """

    async def has_blob(self, address: str) -> bool:
        """Return whether any row still needs these bytes."""

    async def blobs(self, *, after: str = "", limit: int = 1000) -> list[str]:
        """Return the address of the blobs in order, a page at a time."""
