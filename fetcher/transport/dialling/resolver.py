"""Names to addresses, so that a name that hangs delays nobody but its own project."""

import asyncio
import contextlib
import errno
import socket
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from ipaddress import IPv4Address, IPv6Address, ip_address

from fetcher.aio.waiting_room import WaitingRoom
from fetcher.config import Settings
from fetcher.descriptors import are_short
from fetcher.errors import NameUnresolved, Shortage
from fetcher.guards.request.host_names import is_named
from fetcher.shortage import is_shortage

LookUp = Callable[[str], list[str]]
Apart = Callable[[Callable[[], None]], None]


def ask_machine(name: str) -> list[str]:
    """Resolve a name as the machine does; blocks, for as long as the machine likes.

    Raises:
        OSError: There is no such name, or nobody answers.
    """
    found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    # IPv6 answers may be bound to a link; the number is apart from the address then.
    return [f"{host[0]}%{host[3]}" if len(host) == 4 and host[3] else str(host[0]) for *_, host in found]


def in_thread(work: Callable[[], None]) -> None:
    """Run something in a thread; a daemon, since a name that hangs must not hold up the end of the service.

    Raises:
        RuntimeError: The machine has no threads left.
    """
    threading.Thread(target=work, name="names", daemon=True).start()


class Resolver:
    """Looks names up in threads of its own, a bounded number at once in all and for each project.

    The machine's resolver cannot be interrupted, so a look-up that nobody
    waits for any more still counts until it returns.

    Args:
        look_up: Blocks until it has the addresses of a name.
        apart: Runs something that blocks, beside the loop.
    """

    def __init__(self, look_up: LookUp = ask_machine, apart: Apart = in_thread) -> None:
        self._look_up = look_up
        self._apart = apart
        self._running: Counter[str] = Counter()
        self._waiting = WaitingRoom()
        self._pending: dict[str, asyncio.Future[list[str]]] = {}

    async def resolve(self, host: str, settings: Settings, project: str) -> list[IPv4Address | IPv6Address]:
        """Find all addresses of a name, none of them judged yet.

        Raises:
            NameUnresolved: No answer in time, an error, or an answer of no use.
        """
        # With its last dot a name is absolute: no search domain can capture it.
        name = host if is_named(host, settings.url.allow_hosts) else host + "."
        try:
            async with asyncio.timeout(settings.pace.dns_seconds):
                if settings.dns.servers:
                    answers = await _ask_servers(name, settings.dns.servers)
                else:
                    answers = await self._share(name, settings, project)
        except TimeoutError as error:
            raise NameUnresolved(host=host, reason="no answer in time") from error
        except (OSError, UnicodeError) as error:
            # The machine's resolver says of a shortage only that there was no answer.
            if is_shortage(error) or are_short():
                raise Shortage(reason=f"look-up: {error}") from error
            raise NameUnresolved(host=host, reason="there is no such name, or nobody answers") from error
        return _read(answers, host, settings.dns.max_answers)

    async def _share(self, name: str, settings: Settings, project: str) -> list[str]:
        """Wait for one look-up together with everybody who wants the same name now."""
        pending = self._pending.get(name)
        if pending is None:
            await self._take_turn(settings, project)
            pending = self._pending.get(name)
            if pending is None:
                pending = self._start(name, project)
            else:
                self._give_back(project)
        return await asyncio.shield(pending)

    async def _take_turn(self, settings: Settings, project: str) -> None:
        await self._waiting.enter(partial(self._take, settings, project), partial(self._give_back, project))

    def _take(self, settings: Settings, project: str) -> bool:
        most = settings.dns.max_lookups_per_project if project else settings.dns.max_lookups
        if self._running.total() >= settings.dns.max_lookups or self._running[project] >= most:
            return False
        self._running[project] += 1
        return True

    def _give_back(self, project: str) -> None:
        self._running[project] -= 1
        self._running += Counter()  # forget projects with none
        self._waiting.admit()

    def _start(self, name: str, project: str) -> asyncio.Future[list[str]]:
        loop = asyncio.get_running_loop()
        pending: asyncio.Future[list[str]] = loop.create_future()
        self._pending[name] = pending

        def end(answers: list[str], error: Exception | None) -> None:
            del self._pending[name]
            self._give_back(project)
            if error is None:
                pending.set_result(answers)
            else:
                pending.set_exception(error)
                pending.exception()  # perhaps nobody waits any more

        def work() -> None:
            answers: list[str] = []
            failed: Exception | None = None
            try:
                answers = self._look_up(name)
            except Exception as error:  # noqa: BLE001 - carried over to the loop's thread, whatever it is
                failed = error
            # The loop may be gone: the machine took longer than the service lived.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(end, answers, failed)

        try:
            self._apart(work)
        except RuntimeError as error:
            end([], OSError(errno.EAGAIN, str(error)))
        return pending


async def _ask_servers(name: str, servers: Sequence[str]) -> list[str]:
    from fetcher.transport.dialling import (
        dns_client,  # Most services ask the machine, and need no such library.
    )

    return await dns_client.look_up(name, servers)


def _read(answers: list[str], host: str, max_answers: int) -> list[IPv4Address | IPv6Address]:
    unique = list(dict.fromkeys(answers))
    if not unique:
        raise NameUnresolved(host=host, reason="the name has no address")
    if len(unique) > max_answers:
        raise NameUnresolved(host=host, reason=f"the name has more than {max_answers} addresses")
    try:
        return [ip_address(answer) for answer in unique]
    except ValueError as error:
        raise NameUnresolved(host=host, reason="an answer is no address") from error
