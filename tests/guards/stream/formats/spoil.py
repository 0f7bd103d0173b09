"""A model of a header: a valid image, and for each field the values that it must not have."""

from typing import NamedTuple

from hypothesis import strategies as st

from tests.guards.stream.formats.build import patch


class Field(NamedTuple):
    """One field of a header.

    Args:
        name: As in its specification.
        offset: Where it lies.
        layout: How it is written, for struct.
        bad: The values that break a rule.
        rule: The rule that they break.
    """

    name: str
    offset: int
    layout: str
    bad: st.SearchStrategy[int]
    rule: str


def spoil(image: bytes, field: Field, value: int) -> bytes:
    """Return the image with a bad value in one field."""
    return patch(image, field.offset, field.layout, value)


def outside(bits: int, *allowed: int) -> st.SearchStrategy[int]:
    """Return the numbers of so many bits without some."""
    return st.integers(0, (1 << bits) - 1).filter(lambda number: number not in allowed)


def ids(field: Field) -> str:
    """Return the name of a field, for pytest."""
    return field.name
