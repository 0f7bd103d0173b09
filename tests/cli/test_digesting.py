"""The cost of digests on this processor, and what an operator is told of it."""

import pytest

from fetcher.cli.machine.digesting import advice_on, seconds_per_gib

WITH, WITHOUT = {"sha256": 0.6, "sha512": 1.0}, {"sha256": 2.7, "sha512": 1.8}
ALL = ["md5", "sha256", "sha512"]


def test_each_digest_is_measured() -> None:
    """Also the weak ones, which clients of the Image API ask for."""
    measured = seconds_per_gib(ALL)
    assert list(measured) == ALL
    assert all(seconds > 0 for seconds in measured.values())


@pytest.mark.parametrize(
    ("computed", "address", "measured", "is_advised"),
    [
        (ALL, "sha256", WITHOUT, True),
        (ALL, "sha256", WITH, False),
        (ALL, "sha512", WITHOUT, False),
        (["sha256"], "sha256", WITHOUT, False),
    ],
)
def test_advice_is_given_where_another_setting_costs_less(
    computed: list[str], address: str, measured: dict[str, float], is_advised: bool
) -> None:
    """Where sha512 is computed anyway and sha256 is the dearer one; it says how much is saved."""
    advice = advice_on(computed, address, measured)
    assert ("2.7 s" in advice) is is_advised
    assert bool(advice) is is_advised
