"""The section about the bucket of `store.url`."""

from typing import Annotated, Literal

from msgspec import Meta

from fetcher.settings.base import Positive, Seconds, Section

MAX_PARTS = 10_000


class Bucket(Section, frozen=True, kw_only=True):
    """The server of the bucket in `store.url`, and what speaking to it may cost."""

    endpoint: Annotated[
        str,
        Meta(pattern=r"^(https?://[^/?#@\s]+)?$", description="https://host, or empty for the region's own"),
    ]
    region: Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,63}$", description="a region such as us-east-1")]
    addressing: Literal["path", "virtual"]
    credentials_file: str
    max_bytes: Positive
    part_bytes: Annotated[int, Meta(ge=5_242_880, le=536_870_912)]
    parts_at_once: Annotated[int, Meta(ge=1, le=64)]
    patience_seconds: Seconds
    redirect_seconds: Annotated[int, Meta(ge=1, le=3600)]

    @property
    def max_image_bytes(self) -> int:
        """Return how long one image can be: an object has at most so many parts."""
        return self.part_bytes * MAX_PARTS
