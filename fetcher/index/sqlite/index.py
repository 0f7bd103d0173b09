"""The index in one SQLite file."""

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from fetcher.index import protocol
from fetcher.index.portable.attestations import AttestationRecords
from fetcher.index.portable.members import MemberRecords
from fetcher.index.portable.metadefs.records import MetadefRecords
from fetcher.index.portable.schedules import ScheduleRecords
from fetcher.index.sqlite.bookkeeping.audit_trail import AuditRecords
from fetcher.index.sqlite.bookkeeping.maintenance import MaintenanceRecords
from fetcher.index.sqlite.bookkeeping.statistics import Statistics
from fetcher.index.sqlite.bookkeeping.usage import QuotaCheck, UsageRecords
from fetcher.index.sqlite.connection import Connection
from fetcher.index.sqlite.image_records.images import ImageRecords
from fetcher.index.sqlite.imports.pulls import PullRecords
from fetcher.index.sqlite.imports.records import ImportRecords
from fetcher.index.sqlite.imports.recovery import RecoveryRecords
from fetcher.index.sqlite.imports.tasks import TaskRecords
from fetcher.index.sqlite.imports.uploads import UploadRecords
from fetcher.index.sqlite.outgoing.exports import ExportRecords
from fetcher.index.sqlite.outgoing.notices import NoticeRecords
from fetcher.index.sqlite.portable import PortableConnection
from fetcher.index.sqlite.schema import migrate
from fetcher.index.values import Quota, Worker


class Index:
    """All records of the service in one file, as domain verbs.

    Args:
        path: The SQLite file; made when missing.
        quota_of: Given a project's id, what it may hold; without it, nothing is limited.
        worker: Who runs what is claimed here.
    """

    def __init__(
        self,
        path: Path,
        *,
        quota_of: Callable[[str], Quota] | None = None,
        worker: Worker | None = None,
    ) -> None:
        worker = worker or Worker()
        self._path = path
        self.connection = Connection(path, migrate, check=QuotaCheck(quota_of) if quota_of else None)
        portable = PortableConnection(self.connection)
        self.attestations = AttestationRecords(portable)
        self.audit = AuditRecords(self.connection)
        self.notices = NoticeRecords(self.connection)
        self.exports = ExportRecords(self.connection)
        self.images = ImageRecords(self.connection)
        self.imports = ImportRecords(self.connection, worker, self.notices.wake)
        self.schedules = ScheduleRecords(portable)
        self.statistics = Statistics(self.connection)
        self.pulls = PullRecords(self.connection)
        self.recovery = RecoveryRecords(self.connection, worker)
        self.members = MemberRecords(portable)
        self.tasks = TaskRecords(self.connection)
        self.metadefs = MetadefRecords(portable)
        self.uploads = UploadRecords(self.connection, worker)
        self.usage = UsageRecords(self.connection)
        self.maintenance = MaintenanceRecords(self.connection)

    def file_bytes(self) -> dict[str, int]:
        """Return how long the index's file and its write-ahead log are; 0 for what is not there."""
        files = {"file": self._path, "log": self._path.with_name(f"{self._path.name}-wal")}
        return {part: path.stat().st_size if path.exists() else 0 for part, path in files.items()}

    async def open(self) -> None:
        """Open the file and bring it up to date.

        Raises:
            StoreFailed: The file cannot be opened or is no index of ours.
        """
        await self.connection.open()

    async def close(self) -> None:
        """Write what waits and close; closing what was never opened is nothing."""
        await self.connection.close()

    async def __aenter__(self) -> Self:
        """Open the file and bring it up to date."""
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write what waits and close."""
        await self.close()


# The type checker holds this index against the protocol here.
_CHECKED: type[protocol.Index] = Index
