"""One import or image, described to a person at a terminal."""

from datetime import date, datetime
from typing import Any

from rich.text import Text

from fetcher.api.submit.words import (
    STYLES,
    exact_words,
    moment_words,
    notice_words,
    rate_words,
    size_words,
    time_words,
    title_of,
)
from fetcher.cli.screen import Screen, plain

_MARKS = {"succeeded": "✓", "refused": "✗", "failed": "✗", "cancelled": "-"}


def seconds_between(start: str | None, end: str | None) -> float | None:
    """Return the time between two moments in ISO 8601; None while one is missing."""
    if start is None or end is None:
        return None
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()


def show_end(screen: Screen, document: dict[str, Any]) -> None:
    """Show how an import ended, and what to do about it."""
    state = document["state"]
    mark = _MARKS.get(state, "-")
    head = Text.assemble(
        (f"{mark} {state}", f"bold {STYLES[state]}"), "  ", (plain(title_of(document)), "bold")
    )
    verdict = document["verdict"] or {}
    if state != "succeeded":
        head.append(f"  {verdict.get('code', '')}", style="dim")
    screen.err.print(head)
    if state == "succeeded":
        screen.facts(_success(document), to_err=True)
        return
    screen.facts(
        [
            ("why", verdict.get("title")),
            *_truth(document),
            ("what to do", verdict.get("advice")),
            ("import", document["id"]),
        ],
        to_err=True,
    )


def _truth(document: dict[str, Any]) -> list[tuple[str, object]]:
    """Return what really ended an import, for an administrator, where the submitter gets another code."""
    truth = document.get("truth") or {}
    if not truth or truth["code"] == (document["verdict"] or {}).get("code"):
        return []
    return [("in truth", f"{truth['message']} ({truth['code']})"), ("so", truth["advice"])]


def _success(document: dict[str, Any]) -> list[tuple[str, object]]:
    form = document["format"] or {}
    received = document["progress"]["received_bytes"]
    took = seconds_between(document["started_at"], document["ended_at"])
    rate = f" at {rate_words(received / took)}" if took else ""
    return [
        ("format", _format_words(form)),
        ("size", exact_words(received)),
        *_stage_facts(document),
        ("disk", exact_words(form.get("virtual_bytes"))),
        ("sha256", document["digests"].get("sha256")),
        ("took", f"{time_words(took)}{rate}"),
        ("image", document["image_id"]),
        ("target", _target_words(document)),
    ]


def _catalogue_words(origin: dict[str, Any] | None) -> str | None:
    """Return which image of which catalogue it is, and since when its publisher looks after it no more."""
    if origin is None:
        return None
    words = f"{origin['name']}@{origin['serial']} of {origin['catalogue']}"
    end = origin.get("end_of_life")
    is_over = end is not None and end < date.today().isoformat()  # noqa: DTZ011 - a publisher's day has no zone
    return f"{words}; its publisher looked after it until {end}, choose a newer version" if is_over else words


def _target_words(document: dict[str, Any]) -> str | None:
    """Return how far an image has come at the target; None where images stay here."""
    target = document.get("target")
    if not target:
        return None
    sent = "" if target["percent"] is None else f", {target['percent']} % sent"
    return f"{target['image_id']} at {target['url']} ({target['status'] or 'not begun'}{sent})"


def _stage_facts(document: dict[str, Any]) -> list[tuple[str, object]]:
    """Return what was done to the received bytes; nothing where they are kept as they came."""
    stages = document.get("stages", {})
    converted = stages.get("converted")
    return [
        ("unpacked", stages.get("unpacked", {}).get("plan")),
        ("converted", converted and f"{converted['from']} to {converted['to']} ({converted['way']})"),
        ("came as", _came_as(stages.get("received", {}).get("digests", {}))),
    ]


def _came_as(digests: dict[str, str]) -> str | None:
    return f"sha256 {digests['sha256']}" if "sha256" in digests else None


def _format_words(form: dict[str, Any]) -> str | None:
    if not form:
        return None
    kinds = f"{form['disk_format']}, {form['container_format']}"
    return f"{form['name']} ({kinds})"


def show_import(screen: Screen, document: dict[str, Any]) -> None:
    """Show all that is known of an import."""
    shown = document["progress"]
    state = document["state"]
    screen.out.print(Text.assemble((plain(title_of(document)), "bold"), "  ", (state, STYLES[state])))
    verdict = document["verdict"] or {}
    submission = document["submission"]
    progress = size_words(shown["received_bytes"])
    if shown["expected_bytes"] is not None:
        progress += f" of {size_words(shown['expected_bytes'])}"
    facts: list[tuple[str, object]] = [
        ("import", document["id"]),
        ("image", document["image_id"] if state == "succeeded" else None),
        ("url", document["url"]),
        ("now", None if document["ended_at"] else moment_words(document)),
        ("received", progress),
        ("verdict", verdict.get("code")),
        ("why", verdict.get("title") if state != "succeeded" else None),
        *_truth(document),
        ("what to do", verdict.get("advice")),
        ("target said", (verdict.get("fields") or {}).get("said")),
        ("target", _target_words(document)),
        ("format", _format_words(document["format"] or {})),
        ("disk", exact_words((document["format"] or {}).get("virtual_bytes"))),
        ("promised", submission["checksum"]),
        ("verified by", document["verified_by"] if state == "succeeded" else None),
        ("signature", document.get("sums_signature")),
        ("catalogue", _catalogue_words(submission.get("catalogue"))),
        ("length", "not verified" if document.get("length_verified") is False else None),
        *_stage_facts(document),
        *((name, value) for name, value in document["digests"].items()),
        ("webhook", _webhook_words(document)),
        ("submitted", document["created_at"]),
        ("started", document["started_at"]),
        ("ended", document["ended_at"]),
    ]
    screen.facts(facts)
    for attempt in document["attempts"]:
        _show_attempt(screen, attempt, is_ended=document["ended_at"] is not None)


def _webhook_words(document: dict[str, Any]) -> str | None:
    notice = document.get("notice")  # Not of servers from before there were any.
    if not notice:
        return None
    whom = document["submission"]["notify_url"] or "the operator's receiver"
    return f"{whom}, {notice_words(notice, is_ended=document['ended_at'] is not None)}"


def _show_attempt(screen: Screen, attempt: dict[str, Any], *, is_ended: bool) -> None:
    words = f"attempt {attempt['number']}: {attempt['code'] or ('cut off' if is_ended else 'running')}"
    if attempt["offset"]:
        words += f", from byte {attempt['offset']:,}"
    if attempt["reason"]:
        words += f"; {attempt['reason']}"
    screen.line(f"  {words}")
    if truth := attempt.get("truth"):
        at = f"; at {', '.join(truth['addresses'])}" if truth["addresses"] else ""
        screen.line(f"    in truth: {truth['message']} ({truth['code']}{at})")
    for hop in attempt["hops"]:
        screen.line(f"    {hop['status'] or '...'}  {hop['url']}")


_IMAGE_FACTS = (
    ("name", "name"),
    ("image", "id"),
    ("status", "status"),
    ("disk format", "disk_format"),
    ("container", "container_format"),
    ("visibility", "visibility"),
    ("owner", "owner"),
    ("md5", "checksum"),
    ("created", "created_at"),
    ("updated", "updated_at"),
    ("file", "file"),
)


def show_image(screen: Screen, image: dict[str, Any]) -> None:
    """Show all that is known of an image of the Image API."""
    known = {key for _, key in _IMAGE_FACTS}
    known |= {"size", "virtual_size", "os_hash_algo", "os_hash_value", "tags", "self", "schema"}
    facts: list[tuple[str, object]] = [(name, image.get(key)) for name, key in _IMAGE_FACTS]
    facts += [
        ("size", exact_words(image.get("size"))),
        ("disk", exact_words(image.get("virtual_size"))),
        (str(image.get("os_hash_algo")), image.get("os_hash_value")),
        ("tags", ", ".join(image.get("tags", ()))),
        *(
            (key, value)
            for key, value in sorted(image.items())
            if key not in known and value not in (False, 0)
        ),
    ]
    screen.facts(facts)
