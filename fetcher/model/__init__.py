"""The values that cross files.

All are immutable. Sizes are bytes, times are aware datetimes in UTC, digests
are lower-case hex, formats are the Image API's names.
"""

from fetcher.lifecycle import ENDS, Event, IllegalMove, State, next_state
from fetcher.model.base import BLOCK_BYTES, Actor, Digest, Value, address_in, algorithm_of
from fetcher.model.findings import Attempt, FormatVerdict, Hop, TlsPeer
from fetcher.model.images import (
    RESERVED_PROPERTIES,
    Blob,
    Image,
    Member,
    MemberStatus,
    Status,
    Visibility,
    is_property,
    text_bytes,
)
from fetcher.model.imports import Delivery, Import, Notice, Phase, Verdict
from fetcher.model.submissions import (
    BucketAccess,
    CatalogueOrigin,
    ClientCertificate,
    RemoteImage,
    Submission,
)

__all__ = [
    "BLOCK_BYTES",
    "ENDS",
    "RESERVED_PROPERTIES",
    "Actor",
    "Attempt",
    "Blob",
    "BucketAccess",
    "CatalogueOrigin",
    "ClientCertificate",
    "Delivery",
    "Digest",
    "Event",
    "FormatVerdict",
    "Hop",
    "IllegalMove",
    "Image",
    "Import",
    "Member",
    "MemberStatus",
    "Notice",
    "Phase",
    "RemoteImage",
    "State",
    "Status",
    "Submission",
    "TlsPeer",
    "Value",
    "Verdict",
    "Visibility",
    "address_in",
    "algorithm_of",
    "is_property",
    "next_state",
    "text_bytes",
]
