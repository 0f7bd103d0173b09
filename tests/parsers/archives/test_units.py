"""Units of capacity: what products write, in bytes."""

import pytest

from fetcher.parsers.archives.units import MAX_BYTES, read_amount


@pytest.mark.parametrize(
    ("number", "unit", "expected"),
    [
        ("3", "byte", 3),
        ("3", "bytes", 3),
        ("3", "byte * 2^30", 3 << 30),
        ("3", "byte * 1024", 3 << 10),
        ("3", "byte*10^9", 3_000_000_000),
        ("3", "GigaBytes", 3 << 30),
        ("3", "MB", 3 << 20),
        ("3", " KiB ", 3 << 10),
        ("3", "TB", 3 << 40),
        ("0", "byte", 0),
        (str(MAX_BYTES - 1), "byte", MAX_BYTES - 1),
        (str(MAX_BYTES), "byte", None),
        ("3", "furlong", None),
        ("3", "", None),
        ("3", "byte * 2^99", None),
        ("3", "byte * 0", None),
        ("-3", "byte", None),
        ("3.5", "byte", None),
        ("\u0663", "byte", None),
        ("9" * 20, "byte", None),
    ],
)
def test_amounts(number: str, unit: str, expected: int | None) -> None:
    """Words are powers of two; what is no number or no unit, or absurdly large, is nothing."""
    assert read_amount(number, unit) == expected
