"""The URL and its mirrors, and the choice of the one that is asked next."""

from collections.abc import Callable

from fetcher.guards.request.url import CheckedUrls
from fetcher.index.values import Secrets
from fetcher.transport import Dialect, SourceRequest


class Sources:
    """A URL and its mirrors, best first; one that can never help is not asked again.

    Args:
        secrets: With the headers that go to the first one's origin alone.
        project: Whose pull it is.
        first: Which one to begin with, counted from 0.
        expects_digest: Tells whether digests of all submitters will show a change of the bytes on their way.

    Attributes:
        current: The number of the present one.
        url: The present one.
        ca_pem: Authorities that are trusted for all of them.
        dialect: Speaks for us at the first one's origin.

    Raises:
        InvalidUrl: One of them can never be fetched.
    """

    def __init__(
        self,
        secrets: Secrets,
        urls: CheckedUrls,
        project: str,
        *,
        first: int = 0,
        expects_digest: Callable[[], bool] = lambda: False,
    ) -> None:
        self._urls = [urls.check(url) for url in (secrets.url, *secrets.mirrors)]
        self._headers = secrets.headers
        self._client = secrets.access.client
        self.dialect: Dialect | None = None
        self._project = project
        self.ca_pem: str | None = None
        self._expects_digest = expects_digest
        self._dead: set[int] = set()
        self._failed: set[int] = set()
        self.current = first if first < len(self._urls) else 0
        self.url = self._urls[self.current]

    def __len__(self) -> int:
        """Return how many may still be asked."""
        return len(self._urls) - len(self._dead)

    @property
    def is_home(self) -> bool:
        """Return whether that is where the first one is, too."""
        return self.url.origin == self._urls[0].origin

    def request(self, offset: int = 0, if_range: str | None = None) -> SourceRequest:
        """Ask the present one for the bytes from `offset` on."""
        headers = self._headers if self.is_home else {}
        return SourceRequest(
            url=self.url,
            headers=headers,
            offset=offset,
            if_range=if_range,
            project=self._project,
            expects_digest=self._expects_digest(),
            ca_pem=self.ca_pem,
            dialect=self.dialect if self.is_home else None,
            client=self._client if self.is_home else None,
        )

    def exclude(self) -> None:
        """Never ask the present one again."""
        self._dead.add(self.current)

    def fail(self) -> None:
        """Note that the present one failed."""
        self._failed.add(self.current)

    def renew(self) -> None:
        """Forget who failed, after one of them brought bytes."""
        self._failed.clear()

    def turn(self) -> bool:
        """Go to the next one that may be asked; True when it has not failed since the last bytes came."""
        count = len(self._urls)
        for step in range(1, count + 1):
            number = (self.current + step) % count
            if number not in self._dead:
                self.current, self.url = number, self._urls[number]
                break
        return self.current not in self._failed
