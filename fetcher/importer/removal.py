"""Writes that free room, which have to go well on a full disk too."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

import structlog

from fetcher.errors import StoreFailed
from fetcher.importer.context import Context
from fetcher.importer.stages.commit import remove_unneeded
from fetcher.model import Actor

log = structlog.get_logger()

R = TypeVar("R")


async def with_ballast_given_up(context: Context, write: Callable[[], Awaitable[R]]) -> R:
    """Write what frees room; on a full disk, in the room that is held for that."""
    try:
        return await write()
    except StoreFailed:
        if not await context.store.give_up_ballast():
            raise
        log.warning("store.ballast_given_up")
        return await write()


async def remove_image(context: Context, image_id: str, actor: Actor) -> None:
    """Remove an image that nothing writes, and its bytes when no other image shares them.

    Raises:
        UnknownImage: There is none, or it is not the actor's to see.
        Forbidden: It is protected or another project's.
        Conflict: An import that began this moment is writing it.
    """
    address = await with_ballast_given_up(context, lambda: context.index.images.delete(image_id, actor))
    log.info("image.deleted", image_id=image_id, project_id=actor.project_id, user_id=actor.user_id)
    if address is not None:
        async with context.holding(address):
            with suppress(StoreFailed):  # The image is gone; a start removes the file that it had.
                await remove_unneeded(context, address)
