"""The socket that the service listens on: a port, a path, or what systemd has opened already."""

import os
import socket
from contextlib import suppress
from pathlib import Path

from fetcher.settings.server import Server
from fetcher.systemd import handed_over

SOCKET_MODE = 0o660  # Owner and group: the proxy in front is in the service's group, or the other way round.


def bind(server: Server) -> socket.socket:
    """Open the listening socket, or take the one that systemd opened instead of `server.listen`.

    Raises:
        OSError: The address or the path is in use or not ours.
    """
    if (handed := handed_over()) is not None:
        return handed
    if server.path is not None:
        return _bind_path(server.path)
    family = socket.AF_INET6 if ":" in server.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return _bound(listening, (server.host, server.port))


def base_of(listening: socket.socket) -> str:
    """Return what URLs of the service begin with here; for a path, as curl's --unix-socket wants it."""
    if listening.family == socket.AF_UNIX:
        return "http://localhost"
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def release(listening: socket.socket, server: Server) -> None:
    """Take the path of a closed socket away, if it is the one that was opened here."""
    listening.close()
    if server.path is not None and not os.environ.get("LISTEN_FDS"):
        server.path.unlink(missing_ok=True)


def release_if_open(listening: socket.socket, server: Server) -> None:
    """Release a socket that nobody has closed yet; another process may have the path of one that was."""
    if listening.fileno() >= 0:
        release(listening, server)


def _bind_path(path: Path) -> socket.socket:
    """Listen on a path; the file that an earlier process left there is replaced, a living one's is not.

    Source: unix(7), "Pathname sockets".
    """
    _remove_left_behind(path)
    listening = _bound(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM), str(path))
    path.chmod(SOCKET_MODE)
    return listening


def _remove_left_behind(path: Path) -> None:
    if not path.is_socket():  # Another kind of file is nobody's to remove: bind() refuses it.
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe, suppress(FileNotFoundError):
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()


def _bound(listening: socket.socket, address: tuple[str, int] | str) -> socket.socket:
    try:
        listening.bind(address)
    except OSError:
        listening.close()
        raise
    return listening
