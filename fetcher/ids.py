"""Ids of what is made: random ones, drawn many at a time."""

import os

BATCH = 256

_drawn: list[str] = []


def new_id() -> str:
    """Return a random UUID, as text.

    The kernel is asked once for many of them: with each question another
    thread may take the interpreter, and a submission has four ids.

    Source: RFC 9562 section 5.4.
    """
    while True:
        try:
            return _drawn.pop()
        except IndexError:
            _drawn.extend(_draw())


def _draw() -> list[str]:
    text = os.urandom(16 * BATCH).hex()
    return [_form(text[at : at + 32]) for at in range(0, len(text), 32)]


def _form(digits: str) -> str:
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"
