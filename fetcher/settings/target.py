"""The target: an image service that the operator keeps, to which images go on."""

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta

from fetcher.settings.base import Mistake, Seconds, Section, unreadable


class Target(Section, frozen=True, kw_only=True):
    """The image service that imports are staged into, with the submitter's own token.

    Args:
        url: Without /v2; empty where images stay here.
        ca_file: Further authorities (PEM) for its certificate.
        keep_bytes: Whether an image that became active there stays here too.
        send_service_token: Whether a token of this service's own account goes along.
        provenance_properties: Whether its record there says where its bytes came from.
        total_seconds: For one image, from its first request to its status active.
        poll_seconds: Between two looks at an import of its own.
        undo_seconds: For the removal of what was begun there.
    """

    url: Annotated[
        str, Meta(pattern=r"^(https?://[^?#@\s]*[^?#@\s/])?$", description="http(s)://host[:port][/path]")
    ]
    ca_file: str
    keep_bytes: bool
    send_service_token: bool
    provenance_properties: bool
    total_seconds: Seconds
    poll_seconds: Seconds
    undo_seconds: Seconds

    def mistakes(self) -> Iterator[Mistake]:
        """Find a file of authorities that is not there."""
        if self.ca_file:
            yield from unreadable("target.ca_file", [self.ca_file])
