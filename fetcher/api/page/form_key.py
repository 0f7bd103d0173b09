"""The key that signs forms: kept beside the store, so that a form outlives a restart."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

import structlog
from starlette.requests import Request

from fetcher.api.services import services_of

log = structlog.get_logger()

FILE_NAME = "page.key"
KEY_BYTES = 32


def form_key(request: Request) -> bytes:
    """Return the key of this service; it is read, or made, at the first form."""
    state = request.app.state
    key: bytes | None = getattr(state, "form_key", None)
    if key is None:
        key = state.form_key = load_key(services_of(request).folder / FILE_NAME)
    return key


def load_key(path: Path) -> bytes:
    """Read the key from a file that only the service can read, or make both.

    Where the file cannot be written (a full disk), the key lasts until the process ends.
    """
    with suppress(OSError):
        key = path.read_bytes()
        if len(key) == KEY_BYTES:
            path.chmod(0o600)
            return key
    key = secrets.token_bytes(KEY_BYTES)
    try:
        _write(path, key)
    except OSError as error:
        log.warning("page.key_not_kept", error=error.strerror)
    return key


def _write(path: Path, key: bytes) -> None:
    """Put the whole key there, or nothing."""
    partial = path.with_suffix(".new")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        os.write(descriptor, key)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    partial.replace(path)
