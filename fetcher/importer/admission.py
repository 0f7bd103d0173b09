"""Submissions at the door: every check that needs no network, and the records of a new import."""

from contextlib import nullcontext, suppress
from datetime import UTC, datetime

import msgspec

from fetcher.config import Settings
from fetcher.errors import ChecksumRequired, InvalidUrl
from fetcher.guards import check_submission
from fetcher.guards.request.publishers import beside
from fetcher.guards.request.url import CheckedUrls
from fetcher.ids import new_id
from fetcher.importer.methods.method import ImportMethod
from fetcher.importer.records.requests import secrets_of, shown, webhook_of
from fetcher.importer.schemes.registry import is_elsewhere, scheme_of, take
from fetcher.importer.stages.hand_over import begin
from fetcher.importer.stages.inject import check_rules, matching
from fetcher.index.values import IdempotencyKey, NewImport
from fetcher.lifecycle import Event, next_state
from fetcher.model import Actor, Image, Import, Notice, Status, Submission
from fetcher.transport import check_authorities


class Admitted(msgspec.Struct, frozen=True, kw_only=True):
    """A submission that may be fetched, as far as can be said before anything is asked.

    Args:
        recorded: As it is kept: its URLs as submitted, their credentials among the secrets.
        located: As it is asked for: with URLs of http and https alone.
        urls: What those were judged to be.
    """

    recorded: Submission
    located: Submission
    urls: CheckedUrls

    @property
    def origin(self) -> str:
        """Return the origin that the import counts for."""
        return origin_of(self.located.url, self.urls)


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """All that comes with a submission.

    Args:
        actor: Who calls.
        method: How the bytes come.
        image: A queued image that waits for bytes; without one, the import makes its own.
        key: What a repeated call is known by.
        request_id: Of the call, for the log.
        headers: Secret ones, for the source alone.
        token: The submitter's own, for the target image service alone.
    """

    actor: Actor
    method: ImportMethod
    image: Image | None = None
    key: IdempotencyKey | None = None
    request_id: str | None = None
    headers: dict[str, str] | None = None
    token: str | None = None


def admit(submission: Submission, settings: Settings, *, is_probe: bool = False) -> Admitted:
    """Refuse what could never be fetched.

    Args:
        is_probe: The source is only looked at: a missing checksum is reported with all other findings.

    Raises:
        Failure: The first check's that refuses.
    """
    urls = CheckedUrls(settings)
    recorded, located = take(submission, urls)
    if settings.publisher.rules and not is_elsewhere(submission.url):
        recorded = located = beside(located, settings)
    with suppress(ChecksumRequired) if is_probe else nullcontext():
        check_submission(located, urls)
    if recorded.ca_pem is not None:
        check_authorities(recorded.ca_pem)
    return Admitted(recorded=recorded, located=located, urls=urls)


def new_import(admitted: Admitted, call: Call) -> NewImport:
    """Return the records of an import: what is shown, what is secret, and the image that waits for its bytes.

    Raises:
        InvalidRequest: The operator's rules for what goes into images do not fit this one.
    """
    settings, now = admitted.urls.settings, datetime.now(UTC)
    image = call.image or new_image(call.actor, admitted.recorded, now)
    rules: tuple[str, ...] = ()
    if settings.inject.rules:
        rules = matching(settings, call.actor, image.project_id, admitted.located.url)
        check_rules(settings, rules, image)
    submission = msgspec.structs.replace(admitted.recorded, rules=rules)
    webhook = webhook_of(submission, settings)
    owns_image = call.image is None
    record = Import(
        id=new_id(),
        image_id=image.id,
        project_id=image.project_id,
        user_id=call.actor.user_id,
        method=call.method.name,
        submission=shown(submission),
        state=next_state(None, Event.SUBMIT),
        notice=Notice() if webhook else None,
        delivery=begin(settings, image.id, submission.target_image_id) if owns_image else None,
        owns_image=owns_image,
        request_id=call.request_id,
        created_at=now,
        updated_at=now,
    )
    variant = scheme_of(submission.url).variant(submission)
    token = call.token if record.delivery else None
    return NewImport(
        record=record,
        image=image,
        secrets=secrets_of(admitted.located, call.headers, variant, target_token=token),
        shown_url=record.submission.url,
        key=call.key,
        webhook=webhook,
    )


def new_image(actor: Actor, submission: Submission, now: datetime) -> Image:
    """Return the record of an image whose bytes an import is about to bring."""
    return Image(
        id=new_id(),
        project_id=actor.project_id,
        name=submission.name,
        status=Status.IMPORTING,
        visibility=submission.visibility,
        disk_format=submission.disk_format,
        container_format=submission.container_format,
        min_disk=submission.min_disk,
        min_ram=submission.min_ram,
        tags=submission.tags,
        properties=submission.properties,
        created_at=now,
        updated_at=now,
    )


def origin_of(url: str, urls: CheckedUrls) -> str:
    """Return the origin that a URL counts for; one that is not accepted any more fails when it runs."""
    try:
        return urls.check(url).origin
    except InvalidUrl:
        return ""
