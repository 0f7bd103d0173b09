"""The index in one PostgreSQL database, which several processes have open at once."""

from collections.abc import Callable
from types import TracebackType
from typing import Self

from fetcher.index import protocol
from fetcher.index.portable.attestations import AttestationRecords
from fetcher.index.portable.members import MemberRecords
from fetcher.index.portable.metadefs.records import MetadefRecords
from fetcher.index.portable.schedules import ScheduleRecords
from fetcher.index.postgres.access import Access
from fetcher.index.postgres.bookkeeping.audit_trail import AuditRecords
from fetcher.index.postgres.bookkeeping.maintenance import MaintenanceRecords
from fetcher.index.postgres.bookkeeping.statistics import Statistics
from fetcher.index.postgres.bookkeeping.usage import QuotaCheck, UsageRecords
from fetcher.index.postgres.image_records.images import ImageRecords
from fetcher.index.postgres.imports.pulls import PullRecords
from fetcher.index.postgres.imports.records import ImportRecords
from fetcher.index.postgres.imports.recovery import RecoveryRecords
from fetcher.index.postgres.imports.tasks import TaskRecords
from fetcher.index.postgres.imports.uploads import UploadRecords
from fetcher.index.postgres.outgoing.exports import ExportRecords
from fetcher.index.postgres.outgoing.notices import NoticeRecords
from fetcher.index.postgres.portable import PortableConnection
from fetcher.index.postgres.session import Connection
from fetcher.index.values import Quota, Worker


class Index:
    """All records of the service in one database, as domain verbs.

    Args:
        access: How the database is reached.
        quota_of: Given a project's id, what it may hold; without it, nothing is limited.
        worker: Who runs what is claimed here.
    """

    def __init__(
        self, access: Access, *, quota_of: Callable[[str], Quota] | None = None, worker: Worker | None = None
    ) -> None:
        worker = worker or Worker()
        self.connection = Connection(access, check=QuotaCheck(quota_of) if quota_of else None)
        portable = PortableConnection(self.connection)
        self.attestations = AttestationRecords(portable)
        self.audit = AuditRecords(self.connection)
        self.notices = NoticeRecords(self.connection)
        self.images = ImageRecords(self.connection)
        self.exports = ExportRecords(self.connection, worker)
        self.imports = ImportRecords(self.connection, worker, self.notices.wake)
        self.schedules = ScheduleRecords(portable)
        self.statistics = Statistics(self.connection)
        self.pulls = PullRecords(self.connection, worker)
        self.recovery = RecoveryRecords(self.connection, worker)
        self.members = MemberRecords(portable)
        self.tasks = TaskRecords(self.connection)
        self.metadefs = MetadefRecords(portable)
        self.uploads = UploadRecords(self.connection, worker)
        self.usage = UsageRecords(self.connection)
        self.maintenance = MaintenanceRecords(self.connection)

    def file_bytes(self) -> dict[str, int]:
        """Return nothing: the database is not on this machine."""
        return {}

    async def __aenter__(self) -> Self:
        """Connect and bring the schema up to date.

        Raises:
            StoreFailed: The database cannot be reached, or is a later version's.
        """
        await self.connection.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all connections."""
        await self.connection.close()


# The type checker holds this index against the protocol here.
_CHECKED: type[protocol.Index] = Index
