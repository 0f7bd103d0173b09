"""Every way an import or a request can end badly, in one table of classes.

A class is one outcome that a program may branch on. Its `code` is for
programs and never changes; `title` and `advice` are for people; the fields
are the facts. `public_class` names the class shown to the submitter where the
truth would map our inner network: the log and the operator get the truth.
"""

from typing import Any, ClassVar, dataclass_transform


@dataclass_transform(eq_default=False, kw_only_default=True)
class Failure(Exception):
    """The root of the table; never raised itself.

    Annotated names of a subclass are its facts, as in a dataclass: given by name, or left to their default.
    Eighty dataclasses would each have methods compiled at every start.

    Attributes:
        names: Of the facts, in their order.
    """

    names: ClassVar[tuple[str, ...]] = ()
    code: ClassVar[str] = ""
    title: ClassVar[str] = ""
    advice: ClassVar[str] = ""
    public_class: ClassVar["type[Failure] | None"] = None
    retryable: ClassVar[bool] = False
    hidden: ClassVar[frozenset[str]] = frozenset()
    part: str | None = None  # The part that failed, if not the image: "checksum file".

    def __init_subclass__(cls) -> None:
        """Take up the names of a subclass's facts."""
        cls.names = tuple(dict.fromkeys((*cls.names, *cls.__annotations__)))

    def __init__(self, **facts: Any) -> None:
        """Keep the facts.

        Raises:
            TypeError: One has no value, or is none of this failure's.
        """
        super().__init__()
        for name in self.names:
            if name in facts:
                setattr(self, name, facts.pop(name))
            elif not hasattr(type(self), name):
                raise TypeError(f"{type(self).__name__} needs {name}")
        if facts:
            raise TypeError(f"{type(self).__name__} has no {', '.join(facts)}")

    def __repr__(self) -> str:
        """Print it as it would be made."""
        return (
            f"{type(self).__name__}({', '.join(f'{key}={value!r}' for key, value in self.fields().items())})"
        )

    def fields(self) -> dict[str, Any]:
        """Return all facts of this failure: for the log and the operator."""
        return {name: getattr(self, name) for name in self.names}

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
