"""The values of a form that may be shown again: all that was typed, except what may be a secret."""

import re
from collections.abc import Mapping

from fetcher.api.page.form.fields import LABELS, URLS
from fetcher.errors import InvalidRequest
from fetcher.guards.request.redaction import holds_secret, redact_url
from fetcher.transport import check_authorities

Lost = dict[str, list[str]]

SECRET = frozenset(
    {"client_key_pem", "notify_secret", "s3_access_key_id", "s3_secret_access_key", "s3_session_token"}
)
_HEADER = re.compile(r"\s*([!#$%&'*+.^_`|~0-9A-Za-z-]{1,128})\s*:")


def echoed(form: Mapping[str, str]) -> tuple[dict[str, str], Lost]:
    """Take what may be a secret out of a form.

    A page may be kept in a cache, a history or a screenshot; nothing that only
    a source or a receiver may know is sent back, right or wrong.

    Returns:
        The fields to show, and what has to be entered again, by field: as far as it may be shown.
    """
    values = dict(form)
    lost: Lost = {}
    for name in LABELS:
        typed = form.get(name, "")
        if not typed.strip():
            continue
        values[name], shown = _shown(name, typed)
        if shown is not None:
            lost[name] = shown
    return values, lost


def _shown(name: str, typed: str) -> tuple[str, list[str] | None]:
    """Return what is left of one field, and what of it has to be entered again; None where nothing has."""
    if name in SECRET or (name == "ca_pem" and not _are_authorities(typed)) or "PRIVATE KEY" in typed.upper():
        return "", []
    if name == "headers":
        names = [match[1] for line in typed.splitlines() if (match := _HEADER.match(line))]
        return "\n".join(f"{header}: " for header in names), names
    if name == "mirrors" or name in URLS:
        urls = typed.split() if name == "mirrors" else [typed]
        secret = [url for url in urls if holds_secret(url)]
        plain = "\n".join(url for url in urls if url not in secret)
        return (plain, [redact_url(url) for url in secret]) if secret else (typed, None)
    return typed, None


def _are_authorities(text: str) -> bool:
    try:
        check_authorities(text)
    except InvalidRequest:
        return False
    return True
