"""Sizes as people write them: `4 GiB`, `500 MB`, `1.5T`, `1000000`."""

import re
from decimal import Decimal

_AMOUNT = re.compile(r"(\d{1,19}(?:[.,]\d{1,6})?)\s*([kmgtp]?)(i?)(b|bytes?)?", re.IGNORECASE | re.ASCII)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
MAX_BYTES = 2**63 - 1


def read_size(text: str) -> int | None:
    """Read a number of bytes; `k` and `kB` count in thousands only where the unit says so.

    A bare letter (`4G`) is a binary unit, as `qemu-img` and `truncate` read it.
    None when it is no size.
    """
    match = _AMOUNT.fullmatch(text.strip().replace("_", ""))
    if match is None:
        return None
    number, letter, binary, unit = match.groups()
    if binary and not letter:
        return None
    is_decimal = bool(letter) and not binary and bool(unit)
    size = Decimal(number.replace(",", ".")) * (1000 if is_decimal else 1024) ** _POWERS[letter.lower()]
    return int(size) if size == int(size) or letter else None


def read_amount(text: str, unit_bytes: int) -> int | None:
    """Read a number of some unit (`20` of GiB), or a size that is counted in it, rounded up."""
    plain = text.strip()
    if plain.isascii() and plain.isdigit() and len(plain) < 12:
        return int(plain)
    size = read_size(plain) if re.search(r"[A-Za-z]", plain) else None
    return None if size is None else -(-size // unit_bytes)
