"""Reading of what `fetcher migrate` is to move where, and the move of the records."""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Literal, Self

import msgspec

from fetcher.index import open_index
from fetcher.index.moving import check_target, count, move
from fetcher.index.opening import records_of
from fetcher.settings.places.index import Index as Rules
from fetcher.store.configured import index_path
from fetcher.store.folder_lock import FolderLock


class MovedRecords(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome for the records.

    Args:
        what: to-move: before the last step.
        rows: How many of each table.
        faults: What is wrong with the audit trail's chain, or with the index that they are in now.
    """

    what: Literal["moved", "to-move"]
    rows: dict[str, int]
    faults: list[str] = []


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The places that bytes and records come from and go to; one is empty where they stay.

    Args:
        records_from: A folder or the URL of a database.
        records_to: A folder or the URL of a database.
        bytes_from: A folder or the URL of a bucket.
        bytes_to: A folder or the URL of a bucket.
    """

    records_from: str = ""
    records_to: str = ""
    bytes_from: str = ""
    bytes_to: str = ""

    @classmethod
    def of(cls, source: list[str], target: list[str]) -> Self:
        """Read what an operator has given: places of bytes, and databases.

        Raises:
            ValueError: It says no move.
        """
        databases = [[where for where in side if _is_database(where)] for side in (source, target)]
        others = [[where for where in side if not _is_database(where)] for side in (source, target)]
        for where in [where for side in others for where in side]:
            if "://" in where and not where.startswith("s3://"):
                scheme = where.partition(":")[0]
                raise ValueError(f"{scheme}://... is neither s3:// nor postgresql://.")
        if any(len(side) > 1 for side in (*databases, *others)):
            raise ValueError("Give one database and one place of bytes at most, each with --from and --to.")
        places = [side[0] if side else "" for side in others]
        is_copying = all(places)
        if not any(databases):
            if not is_copying:
                raise ValueError("Give --from and --to.")
            return cls(bytes_from=places[0], bytes_to=places[1])
        ends = [side[0] if side else place for side, place in zip(databases, places, strict=True)]
        if any(not end or end.startswith("s3://") for end in ends) or ends[0] == ends[1]:
            raise ValueError("Records go from a folder to a database, back, or to another database.")
        if is_copying and places[0] == places[1]:
            raise ValueError(f"The bytes would go from {places[0]} to itself.")
        there = places if is_copying else ("", "")
        return cls(records_from=ends[0], records_to=ends[1], bytes_from=there[0], bytes_to=there[1])

    @property
    def has_bytes(self) -> bool:
        """Return whether bytes are to be copied."""
        return bool(self.bytes_from)

    def folders(self, own: Path) -> list[Path]:
        """Return the folders that no server may use meanwhile.

        Args:
            own: That of the configuration.
        """
        ends = {Path(end) for end in (self.records_from, self.records_to) if end and not _is_database(end)}
        return sorted({*ends, *([own.resolve()] if own.is_dir() else [])})

    def check(self, rules: Rules) -> None:
        """Refuse a move of records that cannot begin, before anything is copied.

        Raises:
            ValueError: There are no records in the folder, or a URL is none of a database.
        """
        if self.records_from:
            _rules(rules, self.records_to)
            if not _rules(rules, self.records_from).is_shared and not _path(self.records_from).is_file():
                raise ValueError(f"There are no records in {self.records_from}.")

    def move_records(self, rules: Rules, *, is_final: bool) -> MovedRecords | None:
        """Move all records, or count them before the last step; None where they stay.

        Raises:
            Conflict: The target has records, or one of the two is in use.
            StoreFailed: One of the two cannot be used.
        """
        if not self.records_from:
            return None
        source, target = _rules(rules, self.records_from), _rules(rules, self.records_to)
        there, here = _path(self.records_from), _path(self.records_to)
        if not is_final:
            with records_of(source, there).open(is_target=False) as records:
                rows = count(records)
            if target.is_shared or here.is_file():
                with records_of(target, here).open(is_target=False) as records:
                    check_target(records)
            return MovedRecords(what="to-move", rows=rows)
        asyncio.run(_bring_up_to_date(source, there))
        asyncio.run(_bring_up_to_date(target, here))
        with (
            records_of(source, there).open(is_target=False) as old,
            records_of(target, here).open(is_target=True) as new,
        ):
            rows = move(old, new)
        return MovedRecords(what="moved", rows=rows, faults=asyncio.run(_checked(target, here)))


@contextmanager
def locked(folders: Iterable[Path]) -> Iterator[None]:
    """Hold folders, so that no server has them.

    Raises:
        StoreFailed: A server, or another command, has one.
    """
    with ExitStack() as stack:
        for folder in folders:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = FolderLock(folder)
            stack.callback(lock.release)
            lock.take()
        yield


def _is_database(where: str) -> bool:
    return where.startswith(("postgresql://", "postgres://"))


def _path(where: str) -> Path:
    return index_path(Path(where))


def _rules(rules: Rules, where: str) -> Rules:
    """Return the rules of `[index]` for another place."""
    if not _is_database(where):
        return msgspec.structs.replace(rules, url="")
    changed = msgspec.structs.replace(rules, url=where)
    for mistake in changed.mistakes():
        raise ValueError(f"{mistake.value} is not {mistake.expected}.")
    return changed


async def _bring_up_to_date(rules: Rules, path: Path) -> None:
    async with open_index(rules, path):
        pass


async def _checked(rules: Rules, path: Path) -> list[str]:
    """Count usage anew; return what is wrong with what was moved."""
    async with open_index(rules, path) as index:
        await index.maintenance.recount()
        report = await index.audit.verify()
        return [*await index.maintenance.complaints(), *report.faults]
