"""The number of requests of one project that are answered at a time: streams and downloads are long."""

from collections import Counter
from collections.abc import Awaitable, Callable

from starlette.requests import Request

from fetcher.errors import TooManyConnections
from fetcher.model import Actor

SHARE = "fetcher.share"  # In the scope of a request: its `Share`.

Identify = Callable[[Request], Awaitable[Actor]]


class Shares:
    """Counts the requests that are being answered, by project.

    Args:
        most: Of one project, now.
    """

    def __init__(self, most: Callable[[], int]) -> None:
        self._most = most
        self._counts: Counter[str] = Counter()

    def share(self) -> "Share":
        """Give a request what it counts by, once its caller is identified."""
        return Share(self)

    def add(self, project_id: str) -> None:
        """Count a request.

        Raises:
            TooManyConnections: Its project has as many as it may.
        """
        if self._counts[project_id] >= self._most():
            raise TooManyConnections(scope=" of the project")
        self._counts[project_id] += 1

    def remove(self, project_id: str) -> None:
        """Count a request no more."""
        self._counts[project_id] -= 1
        if not self._counts[project_id]:
            del self._counts[project_id]


class Share:
    """The weight of one request."""

    def __init__(self, shares: Shares) -> None:
        self._shares = shares
        self._project_id: str | None = None

    def enter(self, project_id: str) -> None:
        """Count for a project, however often it is asked whose request this is.

        Raises:
            TooManyConnections: It has as many as it may.
        """
        if self._project_id is None:
            self._shares.add(project_id)
            self._project_id = project_id

    def leave(self) -> None:
        """Count no more: the request is answered."""
        if self._project_id is not None:
            self._shares.remove(self._project_id)
            self._project_id = None


def counting(identify: Identify) -> Identify:
    """Return the same, with each request counted for its project; admins' are not."""

    async def identify_and_count(request: Request) -> Actor:
        actor = await identify(request)
        share: Share | None = request.scope.get(SHARE)
        if share is not None and not actor.is_admin:
            share.enter(actor.project_id)
        return actor

    return identify_and_count
