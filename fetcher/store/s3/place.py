"""The place of a store: a part of a bucket, and the rules of speaking to its server."""

from dataclasses import dataclass
from typing import Literal

LEAST_PART_BYTES = 5_242_880  # By the rules of S3.
Addressing = Literal["path", "virtual"]


@dataclass(frozen=True, kw_only=True)
class Place:
    """A part of a bucket, and the rules of speaking to its server.

    Args:
        prefix: Ends in a slash, or is empty.
        endpoint: Where the server is; empty for the one of the region.
        credentials_file: In the form of the AWS tools; empty for the environment's.
        part_bytes: Of one part of an upload.
        parts_at_once: On their way to the server at the same time, of all imports together.
        patience_seconds: For a server that is busy or away, before that is an error.
        request_seconds: Of silence in one request.
    """

    bucket: str
    prefix: str = ""
    endpoint: str = ""
    region: str = "us-east-1"
    addressing: Addressing = "path"
    credentials_file: str = ""
    part_bytes: int = 16_777_216
    parts_at_once: int = 4
    patience_seconds: float = 60.0
    request_seconds: float = 30.0

    @property
    def least_part_bytes(self) -> int:
        """Return how long every part but the last must be."""
        return min(self.part_bytes, LEAST_PART_BYTES)

    @property
    def url(self) -> str:
        """Return how an operator names it."""
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")


def split(url: str) -> tuple[str, str]:
    """Return bucket and prefix of `s3://bucket/prefix`, which the configuration has checked."""
    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    prefix = prefix.strip("/")
    return bucket, f"{prefix}/" if prefix else ""
