"""Complete bytes, as they go from the receiver through the stages."""

from dataclasses import dataclass
from typing import Any

from fetcher.model import FormatVerdict
from fetcher.store.protocol import Staged


@dataclass(frozen=True, kw_only=True)
class Complete:
    """Complete bytes in a staged file, as they would be kept.

    Args:
        digests: Of these bytes.
        received_digests: Of the bytes as they came.
        received_bytes: As they came.
        stages: What was done to them since.
    """

    staged: Staged
    size: int
    digests: dict[str, str]
    received_digests: dict[str, str]
    format: FormatVerdict | None
    received_bytes: int
    stages: dict[str, Any]
