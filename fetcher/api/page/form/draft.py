"""The form as it was typed: what the API takes, with every mistake at once."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec

from fetcher.api.page.form.amounts import MAX_BYTES, read_amount, read_size
from fetcher.api.page.form.fields import BUCKET, LABELS, MAX_TEXT, URLS, words_of
from fetcher.api.page.session import text_of
from fetcher.api.submit.submit_body import SubmitBody
from fetcher.api.submit.words import size_words
from fetcher.config import Settings
from fetcher.errors import Failure
from fetcher.guards.request.notify import check_notify
from fetcher.guards.request.redaction import is_redacted
from fetcher.guards.request.request_headers import check_request_headers
from fetcher.guards.request.url import check_url
from fetcher.guards.stream.checksum import read_digest
from fetcher.importer.schemes.registry import check_source
from fetcher.model import Submission, is_property
from fetcher.transport import check_authorities

GIB, MIB = 1024**3, 1024**2
REDACTED_WORDS = "REDACTED stands in place of a secret that was not kept. Paste the complete URL again."
_TEXTS = (
    *("name", "disk_format", "container_format", "checksum", "visibility", "notify_secret", "ca_pem"),
    *("target_image_id", "disk", "convert_to", "client_certificate_pem", "client_key_pem"),
)


class Draft:
    """A form being read.

    Args:
        form: The fields as they were typed.

    Attributes:
        document: What the API takes; complete when there are no mistakes.
        mistakes: A sentence for each field that is wrong, in the order of the form.
    """

    def __init__(self, form: Mapping[str, str], settings: Settings) -> None:
        self._form = form
        self._settings = settings
        self._found: dict[str, str] = {}
        self.document: dict[str, Any] = {}
        self._read()

    @property
    def mistakes(self) -> dict[str, str]:
        """Return what is wrong, in the order of the form."""
        return {name: self._found[name] for name in LABELS if name in self._found}

    def refuse(self, failure: Failure) -> bool:
        """Put a failure beside its field; False when it belongs to none."""
        named = str(failure.public_fields().get("field") or "")
        field = named.replace(".", "_")
        if field not in LABELS:
            field = named.partition(".")[0].partition("[")[0]
        if field not in LABELS:
            return False
        self._found.setdefault(field, words_of(failure, field))
        return True

    def _read(self) -> None:
        for name in (*URLS, *_TEXTS):
            if text := text_of(self._form, name):
                self.document[name] = text
        bucket = {
            name: text for name in LABELS if name.startswith(BUCKET) and (text := text_of(self._form, name))
        }
        if bucket:
            self.document["s3"] = {name.removeprefix(BUCKET): text for name, text in bucket.items()}
        self.document.setdefault("url", "")
        self._read_amounts()
        self._read_lists()
        self._read_pairs()
        self._check_texts()
        self._check_guards()
        if not self._found:
            self._check_types()

    def _read_amounts(self) -> None:
        if text := text_of(self._form, "max_bytes"):
            size = read_size(text)
            if size is None or not 1 <= size <= MAX_BYTES:
                self._found["max_bytes"] = "Maximum size must be a size, such as 4 GiB or 500 MB."
            else:
                self.document["max_bytes"] = size
        for name, unit, example in (("min_disk", GIB, "20 GiB"), ("min_ram", MIB, "2048 MiB")):
            if text := text_of(self._form, name):
                amount = read_amount(text, unit)
                if amount is None or amount >= 2**31:
                    self._found[name] = f"{LABELS[name]} must be a whole number, such as {example}."
                else:
                    self.document[name] = amount

    def _read_lists(self) -> None:
        tags = [tag for tag in (text.strip() for text in self._form.get("tags", "").split(",")) if tag]
        self.document["tags"] = tags
        self.document["mirrors"] = self._form.get("mirrors", "").split()
        if any(len(tag) > MAX_TEXT for tag in tags):
            self._found["tags"] = f"Each tag must be at most {MAX_TEXT} characters long."

    def _read_pairs(self) -> None:
        self.document["properties"] = self._pairs("properties", "=", "os_distro=debian")
        self.document["headers"] = self._pairs("headers", ":", "Authorization: Bearer ...")
        for name in self.document["properties"]:
            if not is_property(name):
                self._found["properties"] = f"The property name {name[:60]} is reserved or too long."

    def _pairs(self, field: str, mark: str, example: str) -> dict[str, str]:
        found: dict[str, str] = {}
        for number, line in enumerate(self._form.get(field, "").splitlines(), 1):
            name, middle, value = (part.strip() for part in line.partition(mark))
            if not line.strip():
                continue
            if not middle or not name or (field == "headers" and not value):
                self._found[field] = f"{LABELS[field]}, line {number}: write it as {example}."
            elif name in found:
                self._found[field] = f"{LABELS[field]}, line {number}: {name[:60]} is given twice."
            found[name] = value
        return found

    def _check_texts(self) -> None:
        if text := self.document.get("target_image_id"):
            self._check_target(text)
        if len(self.document.get("name", "")) > MAX_TEXT:
            self._found["name"] = f"Name must be at most {MAX_TEXT} characters long."
        formats = self._settings.format
        choices: dict[str, Sequence[str]] = {
            "disk_format": formats.disk_formats,
            "container_format": formats.container_formats,
            "visibility": ("private", "shared", "community", "public"),
            "convert_to": self._settings.convert.offered,
        }
        for name, taken in choices.items():
            if name in self.document and self.document[name] not in taken:
                self._found[name] = f"{LABELS[name]} must be one of {', '.join(taken)}."

    def _check_target(self, text: str) -> None:
        try:
            UUID(text)
        except ValueError:
            example = "4f5c6b4e-94a0-4f42-9d0c-0d4c5b1a8a11"
            self._found["target_image_id"] = f"Image at the target must be an image ID, such as {example}."

    def _check_guards(self) -> None:
        """Ask the guards that the import will meet, each for itself."""
        self._check_urls()
        document, settings = self.document, self._settings
        if len(document.get("ca_pem", "").encode()) > settings.tls.max_ca_pem_bytes:
            most = size_words(settings.tls.max_ca_pem_bytes)
            self._found["ca_pem"] = f"Certificate authorities must be at most {most} long."
        if text := document.get("checksum"):
            self._try("checksum", lambda: read_digest(text, settings))
        self._try("headers", lambda: check_request_headers(document["headers"]))
        if (pem := document.get("ca_pem")) is not None:
            self._try("ca_pem", lambda: check_authorities(pem))
        if secret := document.get("notify_secret"):
            notified = Submission(
                url="", max_bytes=1, notify_url=document.get("notify_url"), notify_secret=secret
            )
            self._try("notify_secret", lambda: check_notify(notified, settings))

    def _check_urls(self) -> None:
        document, settings = self.document, self._settings
        if not document["url"]:
            self._found["url"] = "Enter the URL of an image, such as https://example.org/disk.qcow2."
        for name in URLS:
            if url := document.get(name):
                self._check_url(name, url)
        for number, url in enumerate(document["mirrors"], 1):
            self._check_url("mirrors", url, f"Line {number}: ")
        if len(document["mirrors"]) > settings.url.max_mirrors:
            self._found["mirrors"] = f"At most {settings.url.max_mirrors} mirrors are allowed."

    def _check_url(self, field: str, url: str, before: str = "") -> None:
        if is_redacted(url):
            self._found.setdefault(field, before + REDACTED_WORDS)
            return
        try:
            if field == "notify_url":
                check_url(url, self._settings)
            else:
                check_source(url, self._settings)
        except Failure as failure:
            self._found.setdefault(field, before + words_of(failure, field))

    def _try(self, field: str, check: Callable[[], object]) -> None:
        try:
            check()
        except Failure as failure:
            self._found.setdefault(field, words_of(failure, field))

    def _check_types(self) -> None:
        """Catch what the sentences above leave out, such as too many tags."""
        for name, value in self.document.items():
            try:
                msgspec.convert({"url": "", name: value}, SubmitBody)
            except msgspec.ValidationError as error:
                reason = str(error).partition(" - at ")[0].replace("`", "")
                self._found[name] = f"{LABELS.get(name, name)}: {reason[:1].lower()}{reason[1:]}."
