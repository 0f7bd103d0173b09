"""The projects that an image is shared with, as verbs."""

from typing import Protocol

from fetcher.model import Actor, Member


class Members(Protocol):
    """Verbs on members."""

    async def all(self, image_id: str, actor: Actor) -> list[Member]:
        """Return all members of an image to its owner; a member sees itself only.

        Raises:
            UnknownImage: There is none, or it is not the actor's to see.
        """

    async def find(self, image_id: str, member_id: str, actor: Actor) -> Member:
        """Return one member, for the owner or for itself.

        Raises:
            UnknownImage: There is no such image, or it is not the actor's to see.
            UnknownMember: There is no such member, or it is not the actor's to see.
        """

    async def add(self, member: Member, actor: Actor, *, max_members: int) -> Member:
        """Share an image with a project, which may then accept it.

        Raises:
            UnknownImage: There is no such image, or it is not the actor's to see.
            Forbidden: It is another project's, or its visibility is not shared.
            Conflict: It is shared with that project already.
            QuotaExceeded: It is shared with as many projects as may be.
        """

    async def answer(self, member: Member, actor: Actor) -> Member:
        """Accept or reject: only the member itself decides what is in its list.

        Raises:
            UnknownImage: There is no such image, or it is not the actor's to see.
            UnknownMember: It is not shared with that project.
            Forbidden: The actor is not that project.
        """

    async def remove(self, image_id: str, member_id: str, actor: Actor) -> None:
        """Share an image with a project no longer.

        Raises:
            UnknownImage: There is no such image, or it is not the actor's to see.
            UnknownMember: It is not shared with that project.
            Forbidden: It is another project's.
        """
