"""The section of the guard `notify`."""

from typing import Annotated

from msgspec import Meta

from fetcher.settings.base import Positive, Seconds, Section

SigningSecret = Annotated[
    str,
    Meta(
        pattern=r"^(whsec_([A-Za-z0-9+/]{4}){5,}([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})"
        r"|(?!whsec_)[!-~]{16,255})?$",
        description="whsec_ and base64 of 16 bytes or more, or 16 to 255 printable characters, or nothing",
    ),
]


class Notify(Section, frozen=True, kw_only=True):
    """Telling others that an import has ended."""

    per_import: bool
    url: Annotated[
        str, Meta(pattern=r"^(https?://[^/?#\s@]+[^#\s]*)?$", description="http(s)://host[/path] or nothing")
    ]
    secret: SigningSecret
    attempts: Annotated[int, Meta(ge=1, le=100)]
    first_wait_seconds: Seconds
    max_wait_seconds: Seconds
    total_seconds: Seconds
    max_running: Annotated[int, Meta(ge=1, le=256)]
    max_running_per_project: Positive
    max_waiting: Positive
