"""Services that the faces need: handed to them once, at the start."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from starlette.requests import Request

from fetcher.aio.supervisor import Supervisor
from fetcher.api.event_texts import EventTexts
from fetcher.api.probes import Probes
from fetcher.api.streams.published import Published
from fetcher.attest.links import LinkKeys
from fetcher.catalogues import Catalogues, Keeper
from fetcher.config import Current
from fetcher.engine.protocol import Engine
from fetcher.exporter import Exporter
from fetcher.importer import Importer
from fetcher.index.protocol import Index
from fetcher.maintenance import Attestor, Maintenance
from fetcher.model import Actor
from fetcher.store.protocol import Store
from fetcher.webhooks import WebhookDispatcher


@dataclass(frozen=True, kw_only=True)
class Services:
    """The parts that every face works with.

    Args:
        folder: Where the service keeps files of its own.
        current: The settings in force now, which SIGHUP replaces.
        identify: Who calls; raises Unauthenticated.
        supervisor: Owns what runs in the background for as long as the service does.
        engine: What this host knows of the others.
    """

    folder: Path
    current: Current
    index: Index
    store: Store
    importer: Importer
    maintenance: Maintenance
    attestor: Attestor
    link_keys: LinkKeys
    catalogues: Catalogues
    keeper: Keeper
    webhook_dispatcher: WebhookDispatcher
    exporter: Exporter
    published: Published
    identify: Callable[[Request], Awaitable[Actor]]
    supervisor: Supervisor
    engine: Engine
    probes: Probes = field(default_factory=Probes)
    event_texts: EventTexts = field(default_factory=EventTexts)


def services_of(request: Request) -> Services:
    """Return the services that a request came to."""
    return cast("Services", request.app.state.services)
