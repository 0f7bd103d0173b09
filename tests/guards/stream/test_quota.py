"""The quota's cap: exact at its last byte."""

import pytest

from fetcher.config import load_settings
from fetcher.errors import QuotaExceeded
from fetcher.guards.stream.quota import QuotaCap, limits


def test_exactly_the_quota_passes_and_one_byte_more_does_not() -> None:
    """What other images hold counts; the error tells quota and use."""
    cap = QuotaCap(quota_bytes=10, used_bytes=4)
    cap.feed(bytes(6))
    cap.finish()
    with pytest.raises(QuotaExceeded) as caught:
        cap.feed(b"x")
    assert (caught.value.what, caught.value.quota, caught.value.used) == ("bytes", 10, 4)


def test_a_project_may_have_a_quota_of_its_own() -> None:
    """An entry for one project holds for it alone; what is published is what all others have."""
    own = {"project": "big", "max_images": 7, "max_bytes": 70}
    settings = load_settings(changes={"quota": {"max_images": 1, "max_bytes": 10, "projects": [own]}})
    assert settings.quota.of("big") == (7, 70)
    assert settings.quota.of("small") == (1, 10)
    assert [limit.value for limit in limits(settings)][:2] == [1, 10]
