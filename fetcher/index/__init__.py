"""What we know of images and imports; the one room that knows SQLite."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from fetcher.index.recovery import RecoveryRecords
from fetcher.index.sqlite.attestations import AttestationRecords, Signed, Unsigned
from fetcher.index.sqlite.audit_trail import AuditHead, AuditRecords, AuditReport
from fetcher.index.sqlite.connection import Connection
from fetcher.index.sqlite.images import ImageRecords
from fetcher.index.sqlite.import_images import FAILED_IMPORT
from fetcher.index.sqlite.imports import (
    FILTERS,
    IdempotencyKey,
    ImportRecords,
    NewImport,
)
from fetcher.index.sqlite.listing import SORT_KEYS, Filter, ImageQuery
from fetcher.index.sqlite.maintenance import BlobState, MaintenanceRecords
from fetcher.index.sqlite.members import MemberRecords
from fetcher.index.sqlite.metadefs import METADEF_ORDERS, MetadefRecords
from fetcher.index.sqlite.metadefs_items import ITEM_ORDERS
from fetcher.index.sqlite.metadefs_values import (
    At,
    Bounds,
    Content,
    Item,
    Kind,
    Mode,
    Namespace,
    NamespaceQuery,
    Page,
    ResourceType,
)
from fetcher.index.sqlite.notices import Due, NoticeRecords, Wanted
from fetcher.index.sqlite.pulls import PullRecords, Remembered, ResumeState
from fetcher.index.sqlite.rows import Rows
from fetcher.index.sqlite.schema import migrate
from fetcher.index.sqlite.secrets import Secrets
from fetcher.index.sqlite.statistics import Statistics
from fetcher.index.sqlite.tasks import TASK_ORDERS, TaskQuery, TaskRecords
from fetcher.index.sqlite.turn import READER, Reader
from fetcher.index.sqlite.uploads import Stage, UploadRecords
from fetcher.index.sqlite.usage import Quota, QuotaCheck, Usage, UsageRecords
from fetcher.index.sqlite.webhook_targets import WebhookTarget

__all__ = [
    "FAILED_IMPORT",
    "FILTERS",
    "ITEM_ORDERS",
    "METADEF_ORDERS",
    "READER",
    "SORT_KEYS",
    "TASK_ORDERS",
    "At",
    "AttestationRecords",
    "AuditHead",
    "AuditRecords",
    "AuditReport",
    "BlobState",
    "Bounds",
    "Content",
    "Due",
    "Filter",
    "IdempotencyKey",
    "ImageQuery",
    "ImageRecords",
    "ImportRecords",
    "Index",
    "Item",
    "Kind",
    "MaintenanceRecords",
    "MemberRecords",
    "MetadefRecords",
    "Mode",
    "Namespace",
    "NamespaceQuery",
    "NewImport",
    "NoticeRecords",
    "Page",
    "PullRecords",
    "Quota",
    "Reader",
    "Remembered",
    "ResourceType",
    "ResumeState",
    "Rows",
    "Secrets",
    "Signed",
    "Stage",
    "Statistics",
    "TaskQuery",
    "TaskRecords",
    "Unsigned",
    "UploadRecords",
    "Usage",
    "UsageRecords",
    "Wanted",
    "WebhookTarget",
]


class Index:
    """All records of the service, as domain verbs.

    Args:
        path: The SQLite file; made when missing.
        quota_of: Given a project's id, what it may hold; without it, nothing is limited.

    Attributes:
        activated: Set whenever an image has got its bytes.
    """

    def __init__(self, path: Path, *, quota_of: Callable[[str], Quota] | None = None) -> None:
        self._path = path
        self.activated = asyncio.Event()
        self.connection = Connection(path, migrate, check=QuotaCheck(quota_of) if quota_of else None)
        self.attestations = AttestationRecords(self.connection)
        self.audit = AuditRecords(self.connection)
        self.images = ImageRecords(self.connection)
        self.imports = ImportRecords(self.connection)
        self.figures = Statistics(self.connection)
        self.notices = NoticeRecords(self.connection)
        self.pulls = PullRecords(self.connection)
        self.recovery = RecoveryRecords(self.connection)
        self.members = MemberRecords(self.connection)
        self.tasks = TaskRecords(self.connection)
        self.metadefs = MetadefRecords(self.connection)
        self.uploads = UploadRecords(self.connection)
        self.usage = UsageRecords(self.connection)
        self.upkeep = MaintenanceRecords(self.connection)

    def file_bytes(self) -> dict[str, int]:
        """Return how long the index's file and its write-ahead log are; 0 for what is not there."""
        files = {"file": self._path, "log": self._path.with_name(f"{self._path.name}-wal")}
        return {part: path.stat().st_size if path.exists() else 0 for part, path in files.items()}

    async def __aenter__(self) -> Self:
        """Open the file and bring it up to date.

        Raises:
            StoreFailed: The file cannot be opened or is no index of ours.
        """
        await self.connection.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write what waits and close."""
        await self.connection.close()
