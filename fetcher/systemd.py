"""Messages to systemd about the service, and the socket that it may hand over.

Without systemd, and so without its variables in the environment, all of it does nothing.
Source: sd_notify(3), sd_listen_fds(3), systemd.service(5) under `WatchdogSec=`.
"""

import asyncio
import os
import signal
import socket
import threading
from contextlib import suppress

FIRST_HANDED_OVER = 3  # SD_LISTEN_FDS_START.
MICROSECONDS = 1_000_000


def notify(*states: str) -> None:
    """Tell systemd how the service stands; one that does not listen is no trouble of ours.

    Args:
        states: Assignments such as `READY=1` or `STATUS=...`.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    if address.startswith("@"):
        address = f"\0{address[1:]}"  # An abstract name (unix(7)).
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.sendto("\n".join(states).encode(), address)


def ignore_reloads() -> None:
    """Have a SIGHUP end nothing where there is no service yet, or none any more: nothing is there to reload.

    In another thread than the main one, which alone may decide on signals, it does nothing. The signal is
    handled and not ignored: children would ignore it, too.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGHUP, lambda _number, _frame: None)


def watchdog_seconds() -> float | None:
    """Return the seconds between watchdog messages, half of systemd's deadline; None if it wants none."""
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    deadline = os.environ.get("WATCHDOG_USEC", "")
    return int(deadline) / MICROSECONDS / 2 if deadline.isdecimal() and int(deadline) else None


async def feed_watchdog() -> None:
    """Tell systemd again and again that the event loop turns: one that is held for long is restarted."""
    seconds = watchdog_seconds()
    while seconds is not None:
        notify("WATCHDOG=1")
        await asyncio.sleep(seconds)
    await asyncio.Event().wait()


def handed_over() -> socket.socket | None:
    """Return the listening socket that systemd opened for this process (`ListenStream=`); None without one.

    Raises:
        OSError: It is not the one TCP socket that the service listens on.
    """
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return None
    if os.environ.get("LISTEN_FDS") != "1":
        raise OSError(0, "systemd handed over several sockets; give the unit one ListenStream=")
    handed = socket.socket(fileno=FIRST_HANDED_OVER)
    handed.set_inheritable(False)
    families = (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX)
    if handed.type != socket.SOCK_STREAM or handed.family not in families:
        raise OSError(
            0, "systemd handed over a socket that is no stream; use ListenStream= with a port or path"
        )
    return handed
