"""Exit codes of the command; scripts branch on them, so a number is never reused."""

from enum import IntEnum
from typing import Any

from fetcher.errors import RequestRefused, ServiceFailure, SourceFailure, table


class Exit(IntEnum):
    """The exit codes, each for one outcome that a script may branch on."""

    OK = 0
    FAULT = 1
    USAGE = 2
    REFUSED = 3
    FAILED = 4
    BUSY = 5
    UNREACHABLE = 6
    UNKNOWN = 7
    DENIED = 8
    CANCELLED = 9
    DAMAGED = 10
    INTERRUPTED = 130


class CommandFailed(Exception):
    """A command ends badly for a reason of its own.

    Args:
        exit_code: What scripts see.
        fields: The document of `--json`: code, detail and advice, and what else a program may want.
    """

    def __init__(self, exit_code: Exit, **fields: Any) -> None:
        super().__init__(fields["detail"])
        self.exit_code = exit_code
        self.fields = fields


MEANINGS: dict[Exit, str] = {
    Exit.OK: "Done; with `--wait`: the image was imported.",
    Exit.FAULT: "A fault of ours, or one that nobody foresaw.",
    Exit.USAGE: "The command line, the request or the configuration is wrong.",
    Exit.REFUSED: "The import was refused; trying again changes nothing.",
    Exit.FAILED: "The source failed; trying again may help.",
    Exit.BUSY: "The service cannot do it at the moment: queue, store or identity service.",
    Exit.UNREACHABLE: "No server answers at the address given.",
    Exit.UNKNOWN: "There is no such import or image, or not for this project.",
    Exit.DENIED: "A token is missing, or the role does not allow it.",
    Exit.CANCELLED: "Somebody cancelled the import.",
    Exit.DAMAGED: "Index and store do not agree, or bytes of an image are lost or came changed.",
    Exit.INTERRUPTED: "Ctrl-C; an import that was waited for has been cancelled.",
}

_BY_STATE = {
    "succeeded": Exit.OK,
    "refused": Exit.REFUSED,
    "failed": Exit.FAILED,
    "cancelled": Exit.CANCELLED,
}
_BY_STATUS = {401: Exit.DENIED, 403: Exit.DENIED, 404: Exit.UNKNOWN}


def exit_of_import(document: dict[str, Any]) -> Exit:
    """Return the exit code for an import that has ended; one that has not is no failure."""
    code = (document.get("verdict") or {}).get("code", "")
    if issubclass(table().get(code, SourceFailure), ServiceFailure):
        return Exit.BUSY
    return _BY_STATE.get(document["state"], Exit.OK)


def exit_of_problem(code: str, status: int) -> Exit:
    """Return the exit code for a request that was answered with a problem."""
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    kind = table().get(code)
    if kind is None or code == "internal-fault":
        return Exit.FAULT
    if issubclass(kind, ServiceFailure):
        return Exit.BUSY
    return Exit.USAGE if issubclass(kind, RequestRefused) else Exit.REFUSED
