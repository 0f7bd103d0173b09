"""The choice among several matches: exactly one may be left, except for the pairs stated here."""

from collections.abc import Callable

from fetcher.guards.stream.formats.report import Report, Role

BESIDE = {
    "iso": frozenset({"mbr", "gpt", "apm", "boot", "label", "fat", "hfs", "udf"}),  # Hybrids, bridges.
    "udf": frozenset({"mbr", "gpt", "boot"}),
    "kernel": frozenset({"boot"}),  # A kernel begins with a boot sector of its own.
}
"""Contents that may be found beside a format without making it two."""

PREFERRED = ("gpt", "mbr", "apm", "label", "filesystem", "volume", "hfs", "boot")
"""Of several signs of a raw disk, the one it is named after."""

FLAT = frozenset({"iso", "udf"})
END_OVER_TRACE = frozenset({"vhd", "dmg"})
"""Formats that are a raw disk with something behind it."""

FIRST_SECTOR = 512
"""Bytes of a refused disk image that are its own at least; it stays refused, but by its name."""
DISC_AT, DISC_STARTS = 32_769, (b"CD001", b"BEA01")
"""The place at which the readers of discs begin, and the words one of which they have to find there."""


def leave_content_out(
    seen: list[tuple[Callable[[bytes], Report | None], Report]], head: bytes
) -> list[Report]:
    """Return the reports without those on what a disk image holds: a guest's label, file system or disc.

    What lies before the data of the image counts as ever, so each recogniser of a raw disk or a disc is asked
    again, about that part alone; so does a disc that begins where its readers do.
    """
    data_at = min((at for _, report in seen if (at := _data_at(report))), default=len(head))
    metadata, is_disc = head[:data_at], head.startswith(DISC_STARTS, DISC_AT)
    return [
        report
        for recognise, report in seen
        if (report.kind.role is not Role.TRACE and (is_disc or report.kind.key not in FLAT))
        or recognise(metadata)
    ]


def _data_at(report: Report) -> int:
    """Return where the data of a disk image may begin; zero where the report does not say."""
    return FIRST_SECTOR if report.kind.role is Role.FOREIGN else report.data_at or 0


def settle(found: list[Report]) -> tuple[Report | None, list[Report]]:
    """Return the one that it is, and nothing; or all of several that it is at once."""
    strong = [report for report in found if report.kind.role not in (Role.TRACE, Role.DOCUMENT)]
    traces = [report for report in found if report.kind.role is Role.TRACE]
    if not strong:
        return _settle_weak(traces, [report for report in found if report.kind.role is Role.DOCUMENT])
    main = next((report for report in strong if report.kind.key in BESIDE), strong[0])
    beside = BESIDE.get(main.kind.key, frozenset())
    rivals = [report for report in strong + traces if report is not main and _name_of(report) not in beside]
    if rivals:
        return main, [main, *rivals]
    for report in strong + traces:
        if report is not main:
            main.facts |= report.facts
    return main, []


def _name_of(report: Report) -> str:
    """Return what a report is allowed by: its format, or FAT, which discs may begin as."""
    is_fat = report.kind.key == "filesystem" and report.facts.get("file_system") == "fat"
    return "fat" if is_fat else report.kind.key


def _settle_weak(traces: list[Report], documents: list[Report]) -> tuple[Report | None, list[Report]]:
    """Name a raw disk after its best sign; believe in a document only without any."""
    if not traces:
        return (documents[0] if documents else None), []
    main = min(traces, key=lambda report: PREFERRED.index(report.kind.key))
    for report in traces:
        main.facts = report.facts | main.facts
    return main, []


def may_end_otherwise(report: Report | None) -> bool:
    """Answer whether what lies at the end could make it something else.

    Readers of ZIP, DMG and fixed VHD begin at the end, so that one of them behind a disk image, or behind a
    gzip archive, which marks no end, makes two things of one file. A DMG may begin with what zlib packed.
    """
    return (
        report is None or report.kind.role in (Role.TRACE, Role.DISK) or report.kind.key in ("gzip", "zlib")
    )


def is_flat(report: Report) -> bool:
    """Answer whether a guest sees the bytes as they are."""
    return report.kind.role is Role.TRACE or report.kind.key in FLAT


def settle_end(
    head: Report | None, rivals: list[Report], last: list[Report]
) -> tuple[Report | None, list[Report]]:
    """Weigh what was found at the end against what the head showed."""
    last = [report for report in last if head is None or report.kind is not head.kind]
    if rivals or not last:
        return head, rivals
    if len(last) == 1 and (head is None or _is_part_of(head, last[0])):
        return last[0], []
    return head, [*([head] if head else []), *last]


def _is_part_of(head: Report, last: Report) -> bool:
    is_packed = head.kind.key == "zlib" and last.kind.key == "dmg"
    return is_packed or (head.kind.role is Role.TRACE and last.kind.key in END_OVER_TRACE)
