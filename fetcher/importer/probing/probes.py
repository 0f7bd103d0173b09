"""Bounds on looks at sources: so many at once, so many a minute."""

from fetcher.errors import QueueFull
from fetcher.importer.admission import admit
from fetcher.importer.context import Context
from fetcher.importer.probing.probe import Probe, Probed
from fetcher.importer.records.requests import secrets_of
from fetcher.importer.schedule.connections import Connections
from fetcher.importer.schedule.rate_limiter import RateLimiter
from fetcher.model import Actor, Submission


class Probes:
    """Looks at sources within the limits of submissions, of origins and of its own.

    Args:
        rate_limiter: The one that counts submissions.
    """

    def __init__(self, context: Context, connections: Connections, rate_limiter: RateLimiter) -> None:
        self._context = context
        self._connections = connections
        self._rate_limiter = rate_limiter
        self._running = 0

    async def look(self, actor: Actor, submission: Submission) -> Probed:
        """Look at a source as an import would ask it; see `Importer.probe`."""
        settings = self._context.current.settings
        caps = settings.imports
        admitted = admit(submission, settings, is_probe=True)
        origin = admitted.origin
        self._rate_limiter.count(actor.project_id, origin, caps)
        if self._running >= caps.max_probes:
            raise QueueFull(scope="the service's probe", limit=caps.max_probes)
        if not self._connections.take(origin):
            raise QueueFull(scope="the origin's connection", limit=caps.max_running_per_origin)
        self._running += 1
        try:
            secrets = secrets_of(admitted.located)
            look = Probe(self._context.gate, admitted.recorded, secrets, admitted.urls)
            return await look.look(actor.project_id)
        finally:
            self._running -= 1
            self._connections.give_back(origin)
