"""The place of the records."""

import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated
from urllib.parse import parse_qsl

from msgspec import Meta

from fetcher.settings.base import Mistake, Seconds, Section, unreadable

# libpq's own reading: `#` ends nothing, and `?` and `[` end no password.
_URL = re.compile(
    r"postgres(?:ql)?://(?:(?P<user>[^@/]*)@)?(?P<hosts>[^/?@]*)(?:/(?P<name>[^?@]*))?(?:\?(?P<query>.*))?",
    re.DOTALL,
)
_HOSTS = re.compile(r"(?:(?:\[[^\]]*\]|[^:,\[\]]*)(?::[0-9]*)?(?:,|\Z))*")
_SECRET = re.compile(r"password|secret")  # In the names of password, sslpassword, oauth_client_secret.


class Index(Section, frozen=True, kw_only=True):
    """The place of the records."""

    url: str
    password: str
    password_file: str
    max_connections: Annotated[int, Meta(ge=2, le=1000)]
    connect_seconds: Seconds

    @property
    def is_shared(self) -> bool:
        """Return whether the records are in a database, which several hosts may have open at once."""
        return bool(self.url)

    @property
    def place(self) -> str:
        """Return the URL as it may be shown: nothing secret was ever taken in it."""
        return self.url

    def secret(self) -> str | None:
        """Return the password; None leaves it to what libpq knows: PGPASSWORD, ~/.pgpass, the socket.

        Raises:
            OSError: The file cannot be read.
        """
        if self.password_file:
            return Path(self.password_file).read_text("utf-8").strip()
        return self.password or None

    def mistakes(self) -> Iterator[Mistake]:
        """Find a URL that leads to no database, or shows a secret, and a missing driver.

        Source: PostgreSQL, "Connection URIs"; libpq's conninfo_uri_parse_options.
        """
        if not self.url:
            return
        match = _URL.fullmatch(self.url)
        if match is None or not _HOSTS.fullmatch(match["hosts"]):
            expected = "postgresql://user@host:5432/database, or nothing for SQLite in store.folder"
            yield Mistake(key="index.url", value='"..."', expected=expected)
        elif _has_secret(match["user"] or "", match["query"] or ""):
            expected = "a URL without a password, which belongs in index.password_file or in PGPASSWORD"
            yield Mistake(key="index.url", value='"..."', expected=expected)
        if self.password and self.password_file:
            expected = "nothing, as index.password_file is set"
            yield Mistake(key="index.password", value='"..."', expected=expected)
        yield from unreadable("index.password_file", [self.password_file] if self.password_file else [])
        if find_spec("psycopg") is None or find_spec("psycopg_pool") is None:
            expected = (
                "the package psycopg, which is not installed; in the checkout: make setup EXTRAS=postgres"
            )
            yield Mistake(key="index.url", value='"..."', expected=expected)


def _has_secret(user: str, query: str) -> bool:
    parameters = parse_qsl(query, keep_blank_values=True)
    return ":" in user or any(_SECRET.search(name) for name, _value in parameters)
