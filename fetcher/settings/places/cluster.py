"""This host among several."""

from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta

from fetcher.settings.base import Mistake, Section, printed


class Cluster(Section, frozen=True, kw_only=True):
    """This host among several."""

    host: Annotated[
        str,
        Meta(
            pattern=r"^[A-Za-z0-9._:@/-]{0,200}$",
            description="letters, digits and .-_:@/, or nothing",
        ),
    ]
    roles: Annotated[list[Literal["api", "worker"]], Meta(min_length=1)]

    def mistakes(self) -> Iterator[Mistake]:
        """Find a role that is named twice."""
        if len(set(self.roles)) < len(self.roles):
            yield Mistake(key="cluster.roles", value=printed(self.roles), expected="each role once")
