"""Every guard in order; chains, discovery, provenance, the page and the docs are made from this list."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from fetcher.config import Settings
from fetcher.guards import text
from fetcher.guards.base import Guard, Limit
from fetcher.guards.network import address, redirects, response
from fetcher.guards.request import (
    checksum_file,
    inbound,
    links,
    mirrors,
    notify,
    oci,
    publishers,
    receivers,
    request_headers,
    s3,
    target,
    url_guard,
)
from fetcher.guards.request.url import CheckedUrls
from fetcher.guards.spec import SENT, GuardContext, GuardSpec, Purpose
from fetcher.guards.stream import checksum, convert, inject, pace, quota, size, unpack
from fetcher.guards.stream.formats import guard as formats
from fetcher.guards.stream.formats.guard import FormatGuard
from fetcher.model import FormatVerdict, Submission

GUARDS: tuple[GuardSpec, ...] = (
    url_guard.GUARD,
    mirrors.GUARD,
    s3.GUARD,
    oci.GUARD,
    address.GUARD,
    redirects.GUARD,
    request_headers.GUARD,
    response.GUARD,
    size.GUARD,
    quota.GUARD,
    pace.GUARD,
    unpack.GUARD,
    formats.GUARD,
    convert.GUARD,
    inject.GUARD,
    checksum.GUARD,
    checksum_file.GUARD,
    publishers.GUARD,
    notify.GUARD,
    receivers.GUARD,
    links.GUARD,
    target.GUARD,
    text.GUARD,
    inbound.GUARD,
)


_PLAIN = Submission(url="", max_bytes=0)
"""A submission that has nothing besides its URL."""


class Chain:
    """The guards of one body.

    Attributes:
        submission: What is claimed of the body.
        guards: Those that judge the body as a whole, over all attempts to get it.
    """

    def __init__(self, context: GuardContext) -> None:
        self._context = context
        self.submission = context.submission
        self.guards = _build(context, per_attempt=False)
        self._format = next((guard for guard in self.guards if isinstance(guard, FormatGuard)), None)

    def of_peer(self, clock: Callable[[], float]) -> list[Guard]:
        """Return new guards for the peer of one attempt.

        Args:
            clock: Seconds spent waiting for the peer.
        """
        return _build(replace(self._context, clock=clock), per_attempt=True)

    def of_packed(self) -> list[Guard]:
        """Return new guards for the bytes as they come, where those of the body see what is in them."""
        return _build(replace(self._context, purpose=Purpose.PACKED), per_attempt=False)

    @property
    def format(self) -> FormatVerdict | None:
        """Return what the bytes are, as far as that is known yet."""
        return None if self._format is None else self._format.verdict

    @property
    def fault(self) -> Exception | None:
        """Return what broke inside the format guard, if anything: a fault of ours, reported as a refusal."""
        return None if self._format is None else self._format.fault


def _build(context: GuardContext, *, per_attempt: bool) -> list[Guard]:
    built = [
        spec.build(context)
        for spec in GUARDS
        if spec.build is not None and spec.per_attempt == per_attempt and context.purpose not in spec.not_for
    ]
    return [guard for guard in built if guard is not None]


def check_submission(submission: Submission, urls: CheckedUrls) -> None:
    """Refuse at once what could never be fetched, and receivers that could never be notified.

    Args:
        urls: Judges the submission's URLs, and keeps what passed for the import.

    Raises:
        Failure: The first guard's that refuses.
    """
    for spec in GUARDS:
        if spec.fields and all(getattr(submission, name) == getattr(_PLAIN, name) for name in spec.fields):
            continue
        if spec.check_submission is not None:
            spec.check_submission(submission, urls.settings)
        if spec.check_urls is not None:
            spec.check_urls(submission, urls)


def published(settings: Settings) -> tuple[Limit, ...]:
    """Return every limit in force, from the guard that enforces it, in the order of the guards."""
    return tuple(limit for spec in GUARDS for limit in spec.limits(settings))


class LimitsInForce:
    """The limits in force by their names, made once for the same settings."""

    def __init__(self) -> None:
        self._settings: Settings | None = None
        self._limits: dict[str, object] = {}

    def of(self, settings: Settings) -> Mapping[str, object]:
        """Return them all."""
        if settings is not self._settings:
            self._settings = settings
            self._limits = {limit.name: limit.value for limit in published(settings)}
        return self._limits


def acting(context: GuardContext) -> list[str]:
    """Return the names of the guards that act on bytes: for provenance."""
    is_asked_for = context.purpose not in SENT
    return [spec.name for spec in GUARDS if (is_asked_for and spec.is_of_network) or _acts(spec, context)]


def _acts(spec: GuardSpec, context: GuardContext) -> bool:
    if spec.build is None or context.purpose in spec.not_for:
        return False
    return spec.acts is None or spec.acts(context)


def titles() -> dict[str, str]:
    """Return what people read for each guard's name."""
    return {spec.name: spec.title for spec in GUARDS}
