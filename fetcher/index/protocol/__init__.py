"""The verbs that the other rooms ask of an index, sorted by noun; each is one transaction.

`tests/contract/index/` says what each verb promises, and holds every index
against it. Nothing here knows of tables, files or connections.
"""

from typing import Protocol

from fetcher.index.protocol.attestations import Attestations
from fetcher.index.protocol.audit import Audit
from fetcher.index.protocol.exports import Exports
from fetcher.index.protocol.images import Images
from fetcher.index.protocol.imports import Imports
from fetcher.index.protocol.maintenance import Maintenance
from fetcher.index.protocol.members import Members
from fetcher.index.protocol.metadefs import Metadefs
from fetcher.index.protocol.notices import Notices
from fetcher.index.protocol.pulls import Pulls
from fetcher.index.protocol.recovery import Recovery
from fetcher.index.protocol.schedules import Schedules
from fetcher.index.protocol.statistics import Statistics
from fetcher.index.protocol.tasks import Tasks
from fetcher.index.protocol.uploads import Uploads
from fetcher.index.protocol.usage import Usages

__all__ = [
    "Attestations",
    "Audit",
    "Exports",
    "Images",
    "Imports",
    "Index",
    "Maintenance",
    "Members",
    "Metadefs",
    "Notices",
    "Pulls",
    "Recovery",
    "Schedules",
    "Statistics",
    "Tasks",
    "Uploads",
    "Usages",
]


class Index(Protocol):
    """All records of the service."""

    @property
    def attestations(self) -> Attestations:
        """Return the verbs on signed statements on images."""

    @property
    def audit(self) -> Audit:
        """Return the verbs on the audit trail as a whole."""

    @property
    def exports(self) -> Exports:
        """Return the verbs on images that are sent to receivers."""

    @property
    def images(self) -> Images:
        """Return the verbs on images and their blobs."""

    @property
    def imports(self) -> Imports:
        """Return the verbs on imports, from submission to verdict."""

    @property
    def maintenance(self) -> Maintenance:
        """Return the verbs on the store's maintenance, and on the index itself."""

    @property
    def members(self) -> Members:
        """Return the verbs on the projects that images are shared with."""

    @property
    def metadefs(self) -> Metadefs:
        """Return the verbs on metadata definitions."""

    @property
    def notices(self) -> Notices:
        """Return the verbs on notifications that are not delivered yet."""

    @property
    def pulls(self) -> Pulls:
        """Return the verbs on pulls: resume states, and where URLs led."""

    @property
    def recovery(self) -> Recovery:
        """Return the verbs on what a stopped process left behind."""

    @property
    def schedules(self) -> Schedules:
        """Return the verbs on images that are kept new."""

    @property
    def statistics(self) -> Statistics:
        """Return the verbs on many rows at once, for operators and lists."""

    @property
    def tasks(self) -> Tasks:
        """Return the verbs on imports as the Image API lists them."""

    @property
    def uploads(self) -> Uploads:
        """Return the verbs on bodies that are sent to the service."""

    @property
    def usage(self) -> Usages:
        """Return the verbs on what projects hold."""

    def file_bytes(self) -> dict[str, int]:
        """Return how many bytes the index takes up on this machine, by part; empty where it is elsewhere."""
