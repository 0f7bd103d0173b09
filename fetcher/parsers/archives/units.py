"""Units of capacity as appliances write them: `byte * 2^30`, `GigaBytes`, `MB`, `KiB`.

Specification: DMTF DSP0243 2.1 annex C and DSP0004 annex C (programmatic units); the words are what
products have written since OVF 0.9.
"""

import re

UNIT = re.compile(r"byte(?:s)?(?:\s*\*\s*(\d{1,19})(?:\s*\^\s*(\d{1,2}))?)?")
POWERS = {"": 0, "k": 10, "kilo": 10, "kibi": 10, "m": 20, "mega": 20, "mebi": 20}
POWERS |= {"g": 30, "giga": 30, "gibi": 30, "t": 40, "tera": 40, "tebi": 40, "p": 50, "peta": 50}
WORD = re.compile(r"(|k|kilo|kibi|m|mega|mebi|g|giga|gibi|t|tera|tebi|p|peta)i?-?(?:b|bytes?)", re.IGNORECASE)
NUMBER = re.compile(r"[0-9]{1,19}")
MAX_BYTES = 1 << 62


def bytes_of_unit(unit: str) -> int | None:
    """Return the bytes of a unit; None where it is none.

    Words like `MegaBytes` are powers of two here, as every product that writes them means it.
    """
    unit = unit.strip()
    found = UNIT.fullmatch(unit)
    if found is not None:
        base, exponent = int(found[1] or 1), int(found[2] or 1)
        return int(base**exponent) if 0 < base**exponent < MAX_BYTES else None
    word = WORD.fullmatch(unit)
    return None if word is None else 1 << POWERS[word[1].lower()]


def read_amount(number: str, unit: str) -> int | None:
    """Return a number of a unit in bytes; None where either is none, or it is absurdly large."""
    factor = bytes_of_unit(unit)
    if factor is None or NUMBER.fullmatch(number.strip()) is None:
        return None
    amount = int(number) * factor
    return amount if amount < MAX_BYTES else None
