"""The key that signs forms: kept beside the store, so that a form outlives a restart."""

import asyncio
import os
import secrets
from contextlib import suppress
from pathlib import Path

import structlog
from starlette.requests import Request

from fetcher.api.services import Services, services_of
from fetcher.errors import StoreFailed

log = structlog.get_logger()

FILE_NAME = "page.key"
KEY_BYTES = 32


def form_key(request: Request) -> bytes:
    """Return the key of this service, once `find_form_key` was awaited for the request."""
    key: bytes = request.app.state.form_key
    return key


async def find_form_key(request: Request) -> None:
    """Read the key, or make it, at the first form: in a thread, for it waits for the disk."""
    state = request.app.state
    if not hasattr(state, "form_key"):
        if not hasattr(state, "form_key_found"):  # Two first forms at once have one key.
            state.form_key_found = asyncio.ensure_future(_find(services_of(request)))
        try:
            state.form_key = await asyncio.shield(state.form_key_found)
        except StoreFailed:
            if hasattr(state, "form_key_found"):
                del state.form_key_found  # The next form asks again.
            raise


async def _find(services: Services) -> bytes:
    """Return the key that all hosts have: any of them may show a form, and any other be sent it."""
    known = await services.engine.shared(FILE_NAME)
    if known is not None:
        return known
    own = await asyncio.to_thread(load_key, services.folder / FILE_NAME)
    return await services.engine.share(FILE_NAME, None, own)


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
