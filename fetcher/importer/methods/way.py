"""Finds out where the bytes of a job are: first as the import's method knows, then as its URL's scheme."""

from fetcher.guards.request.url import CheckedUrls
from fetcher.importer.methods.registry import named
from fetcher.importer.records.running_import import RunningImport
from fetcher.importer.schemes.registry import find_way
from fetcher.importer.schemes.scheme import Asked, Way
from fetcher.index.values import Secrets
from fetcher.transport import Gate


async def way_of(gate: Gate, running: RunningImport, secrets: Secrets, urls: CheckedUrls) -> Way:
    """Find out how the bytes are asked for.

    Raises:
        Failure: They are not to be had.
    """
    prepare = named(running.record.method).prepare
    if prepare is not None:
        secrets = await prepare(gate, running, secrets, urls.settings)
    asked = Asked(
        gate=gate,
        secrets=secrets,
        urls=urls,
        submission=running.record.submission,
        project=running.record.project_id,
        settings=urls.settings,
    )
    return await find_way(asked)
