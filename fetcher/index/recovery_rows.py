"""Statements of a start, alike in every index: imports without an end, and no more of them than it needs."""

from collections.abc import Collection, Sequence
from typing import Any

from fetcher.index.import_rows import Statement, marks, to_secrets_of
from fetcher.index.rows import to_submission
from fetcher.index.values import LeftBehind, Unfinished
from fetcher.model import Import

# In the order in which `to_unfinished` takes them.
_WANTED = """imports.id AS id, project_id, method, delivery IS NOT NULL AS is_delivered, submission,
             import_secrets.url AS url, headers, mirrors, checksum_url, checksum_signature_url, access,
             target_token"""
_ORDER = "ORDER BY created_at, imports.id"


def waiting_statement(free: str, holding: dict[str, object], sent: Collection[str]) -> Statement:
    """Return the statement that finds what is to be taken up; its rows are for `to_unfinished`.

    Args:
        free: Which imports nobody holds.
        holding: What that is asked with.
        sent: Methods of imports that cannot be taken up.
    """
    arguments = dict(holding)
    methods = marks("sent", ("", *sent), arguments)
    sql = f"""SELECT {_WANTED} FROM imports JOIN import_secrets ON import_id = imports.id
              WHERE ended_at IS NULL AND {free} AND method NOT IN ({methods}) {_ORDER}"""  # noqa: S608 - our expressions
    return sql, arguments


def whole_statement(free: str, holding: dict[str, object], sent: Collection[str]) -> Statement:
    """Return the statement that finds, whole, what cannot be taken up and what was in its commit."""
    arguments = dict(holding)
    methods = marks("sent", ("", *sent), arguments)
    sql = f"""SELECT * FROM imports
              WHERE ended_at IS NULL AND {free} AND (method IN ({methods}) OR phase = 'committing')
              {_ORDER}"""  # noqa: S608 - likewise
    return sql, arguments


def to_unfinished(values: Sequence[Any]) -> Unfinished:
    """Read an import that waits from the columns of its row."""
    import_id, project_id, method, is_delivered, submission, *secrets = values
    return Unfinished(
        import_id, project_id, method, bool(is_delivered), to_submission(submission), to_secrets_of(*secrets)
    )


def left_of(waiting: list[Unfinished], whole: Sequence[Import], sent: Collection[str]) -> LeftBehind:
    """Return all rows, the whole ones separately."""
    return LeftBehind(
        waiting,
        sent=[record for record in whole if record.method in sent],
        committing=[record for record in whole if record.method not in sent],
    )
