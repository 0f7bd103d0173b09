"""The chain of the audit trail: the same digests in every index, so that a head is good for either."""

import hashlib
from typing import Any

import msgspec

from fetcher.index.rows import Row, to_text
from fetcher.index.values import AuditHead, AuditReport
from fetcher.model import Import

START = "0" * 64  # What the first line of a trail is chained to.
# In this order: the digest of a line is over their values.
COLUMNS = ("id", "at", "project_id", "user_id", "action", "import_id", "image_id", "url", "code", "detail")
# The import has the whole of it; this line is kept for longer, and an attacker chooses how long a URL is.
MAX_URL_CHARACTERS = 512


def digest_of(before: str, line: Row) -> str:
    """Return the digest of a line: sha256 over the JSON of the digest before it and of its own values."""
    return hashlib.sha256(msgspec.json.encode([before, *map(line.get, COLUMNS)])).hexdigest()


def link(last: tuple[int, str], line: Row) -> dict[str, Any]:
    """Return a line as it is kept, chained to the last one: its number and its digest."""
    number, before = last
    numbered = {"id": number + 1, "detail": "{}", **line}
    return {**numbered, "hash": digest_of(before, numbered)}


def entry_of(last: tuple[int, str], action: str, record: Import, detail: dict[str, Any]) -> dict[str, Any]:
    """Return the line that records what was done to an import, chained to the last one."""
    return link(last, line_of(action, record, detail))


def line_of(action: str, record: Import, detail: dict[str, Any]) -> dict[str, Any]:
    """Return the same line, not chained yet."""
    return {
        "at": to_text(record.updated_at),
        "project_id": record.project_id,
        "user_id": record.user_id,
        "action": action,
        "import_id": record.id,
        "image_id": record.image_id,
        "url": record.submission.url[:MAX_URL_CHARACTERS],
        "code": record.verdict.code if record.verdict else None,
        "detail": msgspec.json.encode(detail).decode(),
    }


class Verification:
    """Computes the digests of a trail anew, line by line.

    Args:
        anchor: The last line that went by its age.
        expected: A head that was exported before: the trail has to contain it still.
    """

    def __init__(self, anchor: Row, expected: AuditHead | None) -> None:
        self._number, self._digest = anchor["audit_id"], anchor["hash"]
        self._lines = self._unchained = 0
        self._faults: list[str] = []
        self._expected = expected
        self._found = expected is None or self._is_expected()
        # Where its line has gone by its age, or is said to have, nothing shows that it was of this trail.
        self._is_aged = expected is not None and expected.number < self._number

    def _is_expected(self) -> bool:
        return self._expected == AuditHead(number=self._number, digest=self._digest)

    def take(self, line: Row) -> None:
        """Judge the next line."""
        self._lines += 1
        if line["hash"] is None and self._digest == START:
            self._unchained, self._number = self._unchained + 1, line["id"]
            return
        if self._number and line["id"] != self._number + 1:
            self._faults.append(f"lines between {self._number} and {line['id']} are missing")
        if line["hash"] != digest_of(self._digest, line):
            self._faults.append(f"line {line['id']} was changed, or what is before it")
        self._number, self._digest = line["id"], line["hash"] or START
        self._found = self._found or self._is_expected()

    def report(self) -> AuditReport:
        """Return what all lines have shown."""
        lost = (
            f"the head {self._expected} is older than the oldest line that is kept: it proves nothing"
            if self._is_aged
            else f"the head {self._expected} is not in the trail: lines were removed or written anew"
        )
        return AuditReport(
            head=AuditHead(number=self._number, digest=self._digest),
            lines=self._lines,
            unchained=self._unchained,
            faults=self._faults if self._found else [*self._faults, lost],
        )
