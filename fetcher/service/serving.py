"""One service behind a port: what its clients reach, until a signal ends it."""

import asyncio
import socket
from contextlib import suppress

import structlog
import uvicorn

from fetcher.api.inbound import HandOver, InboundServer, places
from fetcher.descriptors import raise_limit
from fetcher.interpreter import exclude_from_collection, resume_collection
from fetcher.listening import release
from fetcher.service.service import Service

log = structlog.get_logger()

# To answer requests that the service stops, after what could finish has finished.
STOP_SECONDS = 4
# How long the collector leaves a start to itself, at most: until ten thousand imports are taken up. What
# clients leave behind meanwhile is looked at in one go, with the loop held.
SETTLE_SECONDS = 5.0
LOOK_SECONDS = 0.05


def inbound_server(service: Service) -> InboundServer:
    """Return the service behind a server whose clients have deadlines and places."""
    settings = service.settings
    shares = places(settings, raise_limit(settings.inbound.max_descriptors))
    say = log.warning if shares.is_tight else log.info
    say("start.descriptors", **shares._asdict())
    config = uvicorn.Config(
        service.app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # Ours takes them from `inbound.proxies`, not from an environment variable.
        ws="none",
        timeout_graceful_shutdown=int(settings.server.shutdown_seconds) + STOP_SECONDS,
        timeout_keep_alive=int(settings.inbound.idle_seconds)
        + 2,  # Ours is exact; this one is a net below it.
    )
    server = InboundServer(config, lambda: service.settings.inbound, shares.connections, service.stop)
    server.listens_on = service.open_port
    return server


def _settle(service: Service) -> None:
    """Spare what the start has made, and what it takes up, from the collector, which then does its work."""
    loop = asyncio.get_running_loop()
    until = loop.time() + SETTLE_SECONDS

    def look() -> None:
        exclude_from_collection()
        if service.app.state.services.importer.is_open or loop.time() >= until:
            resume_collection()
        else:
            loop.call_later(LOOK_SECONDS, look)

    look()


def serve(service: Service, listening: socket.socket, hand_over: HandOver | None = None) -> int:
    """Serve until a signal ends it; the answer is the exit code.

    Args:
        listening: Bound to where clients come.
        hand_over: Ends whoever answers there until now, and returns the connections that it has taken.
    """
    server = inbound_server(service)
    server.closed = lambda: release(listening, service.settings.server)
    server.opened = lambda: _settle(service)
    if hand_over is not None:
        server.hand_over = hand_over
    with suppress(KeyboardInterrupt):  # Raised again after an orderly stop; there is nothing more to say.
        server.run(sockets=[listening])
    return 0 if server.started else 1
