"""Every way an import or a request can end badly, in one table of classes.

A class is one outcome that a program may branch on. Its `code` is for
programs and never changes; `title` and `advice` are for people; the fields
are the facts. `public_class` names the class shown to the submitter where the
truth would map our inner network: the log and the operator get the truth.
"""

from dataclasses import asdict
from typing import Any, ClassVar


class Failure(Exception):
    """The root of the table; never raised itself."""

    code: ClassVar[str] = ""
    title: ClassVar[str] = ""
    advice: ClassVar[str] = ""
    public_class: ClassVar["type[Failure] | None"] = None
    retryable: ClassVar[bool] = False
    hidden: ClassVar[frozenset[str]] = frozenset()
    part: str | None = None  # The part that failed, if not the image: "checksum file".

    def fields(self) -> dict[str, Any]:
        """Return all facts of this failure: for the log and the operator."""
        return asdict(self)  # type: ignore[call-overload, no-any-return] # each subclass is a dataclass

    def __str__(self) -> str:
        """Return the facts as one sentence: for the log and the operator."""
        return self.title.format(**{key: readable(value) for key, value in self.fields().items()})

    def is_retryable(self) -> bool:
        """Return whether another attempt of the same import may end better."""
        return self.retryable

    def public(self) -> "Failure":
        """Return the failure as the submitter may see it."""
        return self if self.public_class is None else self.public_class()

    def public_fields(self) -> dict[str, Any]:
        """Return the facts that the submitter may see, without those not known."""
        shown = {k: v for k, v in self.public().fields().items() if k not in self.hidden}
        return {key: value for key, value in shown.items() if value is not None}


def readable(value: object) -> str:
    """Print a fact inside a sentence: thousands separated, lists with commas."""
    if isinstance(value, bool) or not isinstance(value, int | list | tuple):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    return ", ".join(str(item) for item in value) or "none"


class Rejection(Failure):
    """A submission that is refused; trying again changes nothing."""


class SourceFailure(Failure):
    """The source let us down; trying again may help."""


class ServiceFailure(Failure):
    """The fault is ours; the submission may be fine."""


class RequestRefused(Failure):
    """A call of the API cannot be carried out; no import ends by it."""


def table() -> dict[str, type[Failure]]:
    """Every class of the table by its code, in the order of this file."""
    found: dict[str, type[Failure]] = {}
    todo: list[type[Failure]] = [Failure]
    while todo:
        for child in todo.pop(0).__subclasses__():
            todo.append(child)
            if child.code:
                found[child.code] = child
    return found
