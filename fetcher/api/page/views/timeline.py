"""The story of one import, step by step."""

from datetime import datetime
from typing import Literal

import msgspec

from fetcher.api.submit.words import exact_words, size_words, time_words
from fetcher.lifecycle import State
from fetcher.model import Attempt, Hop, Import

Mood = Literal["good", "bad", "plain", "now"]


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened.

    Args:
        at: When; None where no time was kept.
        facts: Names and values below it.
    """

    at: datetime | None
    words: str
    mood: Mood = "plain"
    facts: tuple[tuple[str, str], ...] = ()


def steps_of(record: Import, *, is_operator: bool) -> list[Step]:
    """Return the steps of an import, from its submission to its end or to now.

    Args:
        is_operator: May see the addresses that were dialled.
    """
    steps = [Step(at=record.created_at, words=f"Submitted by {record.user_id}")]
    if record.started_at is not None:
        waited = (record.started_at - record.created_at).total_seconds()
        after = f" after {time_words(waited)} in the queue" if waited >= 1 else ""
        steps.append(Step(at=record.started_at, words=f"Started{after}"))
    for attempt in record.attempts:
        steps += _attempt(record, attempt, is_operator=is_operator)
    if record.format is not None:
        virtual = record.format.virtual_bytes
        facts = (("disk", exact_words(virtual) or ""),) if virtual is not None else ()
        steps.append(Step(at=None, words=f"Detected format: {record.format.name}", mood="good", facts=facts))
    if record.digests:
        steps.append(_digests(record))
    steps.append(_last(record))
    return steps


def _attempt(record: Import, attempt: Attempt, *, is_operator: bool) -> list[Step]:
    several = len(record.attempts) > 1 or attempt.number > 1
    words = f"Attempt {attempt.number}" if several else "Requested from the source"
    if attempt.offset:
        words += f", resumed at byte {attempt.offset:,}"
    steps = [Step(at=attempt.started_at, words=words)]
    steps += [_hop(hop, is_operator=is_operator) for hop in attempt.hops]
    if attempt.ended_at is not None:
        took = time_words((attempt.ended_at - attempt.started_at).total_seconds())
        got = f"{size_words(attempt.received_bytes)} in {took}"
        if attempt.code == "ok":
            steps.append(Step(at=attempt.ended_at, words=f"Received {got}", mood="good"))
        else:
            again = f"; retrying in {time_words(attempt.wait_seconds)}" if attempt.wait_seconds else ""
            is_last = record.state.is_final and attempt is record.attempts[-1]
            reason = "Stopped" if is_last else attempt.reason or attempt.code
            broke = f"{reason} after {got}{again}" if is_last else f"{reason} ({got}{again})"
            facts = _truth(attempt) if is_operator else ()
            steps.append(Step(at=attempt.ended_at, words=broke, mood="bad", facts=facts))
    return steps


def _truth(attempt: Attempt) -> tuple[tuple[str, str], ...]:
    """Return what really ended an attempt, where its submitter gets a vaguer code."""
    truth = attempt.truth
    return () if truth is None else (("actual cause", f"{truth['message']} ({truth['code']})"),)


def _hop(hop: Hop, *, is_operator: bool) -> Step:
    status = hop.status
    if status is None:
        words, mood = "No response", "bad"
    elif 300 <= status < 400:
        words, mood = f"Redirected ({status})", "plain"
    else:
        words, mood = f"Response {status}", "good" if status < 300 else "bad"
    facts = [("from", hop.url)]
    if is_operator and hop.address:
        facts.append(("address", f"{hop.address} port {hop.port}"))
    if hop.tls is not None:
        facts.append(("certificate", f"{hop.tls.subject}, {hop.tls.version}, until {hop.tls.not_after}"))
    facts += [
        (name, hop.headers[name]) for name in ("content-type", "etag", "last-modified") if name in hop.headers
    ]
    return Step(at=hop.at, words=words, mood=mood, facts=tuple(facts))  # type: ignore[arg-type] # both are moods


def _digests(record: Import) -> Step:
    promised = record.submission.checksum
    if promised is None:
        return Step(at=None, words="No checksum was supplied")
    actual = record.received_digests.get(promised.algorithm)
    if actual == promised.value:
        return Step(at=None, words=f"Checksum verified ({promised.algorithm})", mood="good")
    return Step(at=None, words=f"Checksum does not match ({promised.algorithm})", mood="bad")


def _last(record: Import) -> Step:
    if record.state is State.SUCCEEDED:
        words = "Active at the target image service" if record.is_away else "Stored as an image"
        return Step(at=record.ended_at, words=words, mood="good")
    if record.state.is_final:
        title = record.verdict.title if record.verdict else record.state.value
        return Step(at=record.ended_at, words=title, mood="bad")
    return Step(at=None, words=_NOW.get(record.phase.value if record.phase else "", "Queued"), mood="now")


_NOW = {
    "connecting": "Connecting to the source",
    "pulling": "Receiving data",
    "verifying": "Verifying checksums",
    "converting": "Converting",
    "delivering": "Sending to the target image service",
    "committing": "Storing",
}


def verified_words(verified_by: str) -> str:
    """Say what the image's checksum was compared with."""
    return "Not verified" if verified_by == "none" else f"Verified ({verified_by})"


_SIGNATURES = {
    "good": "Good: the operator trusts the key that signed the checksum file.",
    "expired-key": "Proves nothing: the checksum file is signed by a key that has expired.",
    "revoked-key": "Proves nothing: the checksum file is signed by a key that was revoked.",
    "invalid": "Proves nothing: the signature on the checksum file is not valid.",
    "unknown-key": "Proves nothing: the checksum file is signed by a key that is not trusted here.",
}


def signature_words(standing: str) -> str:
    """Say what the signature on the checksum file is worth."""
    return _SIGNATURES.get(standing, standing)
