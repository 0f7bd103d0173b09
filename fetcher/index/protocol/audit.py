"""The audit trail as a whole, as verbs."""

from typing import Protocol

from fetcher.index.values import AuditHead, AuditReport


class Audit(Protocol):
    """Verbs on the audit trail."""

    async def head(self) -> AuditHead:
        """Return the last line."""

    async def verify(self, expected: AuditHead | None = None) -> AuditReport:
        """Compute every digest anew.

        Args:
            expected: A head that was exported before: the trail has to contain it still.
        """
