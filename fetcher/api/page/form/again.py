"""The form filled in: as an earlier import was submitted, and with the name that its file has."""

from urllib.parse import unquote, urlsplit

from fetcher.api.page.form.fields import BUCKET, EMPTY, MAX_TEXT, URLS
from fetcher.guards.request.redaction import is_redacted
from fetcher.model import BucketAccess, Submission


def default_name(url: str) -> str | None:
    """Return the file's name at the end of a URL's path, the name of an image that was given none."""
    try:
        path = urlsplit(url).path
    except ValueError:
        return None
    name = unquote(path.rstrip("/").rpartition("/")[2]).strip()
    return name[:MAX_TEXT] if name.isprintable() and name else None


def _fill_bucket(bucket: BucketAccess, values: dict[str, str], lost: dict[str, list[str]]) -> None:
    for name in ("endpoint", "region", "addressing"):
        values[BUCKET + name] = getattr(bucket, name) or ""
    for name in ("access_key_id", "secret_access_key", "session_token"):
        if getattr(bucket, name) is not None:
            lost[BUCKET + name] = []


def form_of(submission: Submission) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Fill the form as an earlier import was submitted, without the URLs that held secrets.

    Returns:
        The fields, and what has to be pasted again, by field: each URL as it was shown.
    """
    lost: dict[str, list[str]] = {}
    values = EMPTY | {
        "name": submission.name or "",
        "disk_format": submission.disk_format or "",
        "container_format": submission.container_format or "",
        "checksum": str(submission.checksum or ""),
        "min_disk": str(submission.min_disk or ""),
        "min_ram": str(submission.min_ram or ""),
        "tags": ", ".join(submission.tags),
        "properties": "\n".join(f"{name}={value}" for name, value in submission.properties.items()),
        "visibility": submission.visibility,
        "ca_pem": submission.ca_pem or "",
        "disk": submission.disk or "",
        "target_image_id": submission.target_image_id or "",
        "convert_to": submission.convert_to or "",
    }
    if submission.client_sha256:
        lost |= {"client_certificate_pem": [f"sha256 {submission.client_sha256}"], "client_key_pem": []}
    if submission.s3 is not None:
        _fill_bucket(submission.s3, values, lost)
    for name in URLS:
        url = getattr(submission, name) or ""
        if is_redacted(url):
            lost[name] = [url]
        else:
            values[name] = url
    values["mirrors"] = "\n".join(url for url in submission.mirrors if not is_redacted(url))
    if gone := [url for url in submission.mirrors if is_redacted(url)]:
        lost["mirrors"] = gone
    if submission.headers:
        values["headers"] = "\n".join(f"{name}: " for name in submission.headers)
        lost["headers"] = sorted(submission.headers)
    return values, lost
