"""Whom a submission may have told, and the signature by which they know us."""

import pytest

from fetcher.config import BadConfig, load_settings
from fetcher.guards.request.notify import limits, signature, signing_key


def test_signature_is_the_one_that_others_compute() -> None:
    """The published example of the scheme comes out, so that ready-made receivers can check ours."""
    made = signature(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
    )
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    ("secret", "key"),
    [
        ("a" * 16, b"a" * 16),
        ("whsec_" + "QUJD" * 6, b"ABC" * 6),
        ("whsec", None),
        ("a" * 15, None),
        ("whsec_" + "QUJD" * 5, None),
        ("whsec_" + "QUJD" * 6 + "!", None),
        ("ä" * 20, None),
    ],
)
def test_what_is_a_secret_here_is_one_in_the_configuration(secret: str, key: bytes | None) -> None:
    """One rule for submitters and operators; a complaint holds nothing of the secret."""
    changes = {"notify": {"secret": secret}}
    if key is not None:
        assert signing_key(secret) == key
        assert load_settings(changes=changes).notify.secret == secret
        return
    with pytest.raises(ValueError, match="the secret") as refusal:
        signing_key(secret)
    assert secret not in str(refusal.value)
    with pytest.raises(BadConfig):
        load_settings(changes=changes)


def test_limits_are_published() -> None:
    """What a submitter may count on is told in numbers."""
    settings = load_settings()
    told = {limit.name: limit.value for limit in limits(settings)}
    rules = settings.notify
    assert told == {
        "notify_url_allowed": True,
        "notify_attempts": rules.attempts,
        "notify_seconds": rules.total_seconds,
    }
