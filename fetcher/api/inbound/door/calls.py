"""System calls that never wait, made without giving the interpreter away.

Python gives it away around each call, for the call might block. With another thread that computes, such
as a recogniser of hostile bytes, each costs that thread's turn of half a millisecond or more; these take a
microsecond.

Source: accept4(2), recv(2), send(2), epoll_ctl(2), close(2); ctypes, "Loading shared libraries", `PyDLL`.
"""

import ctypes
import os
import select
import socket
import struct
import sys

PIECE_BYTES = 16_384
ADDRESS_BYTES = 128  # sizeof(struct sockaddr_storage).
FLAGS = socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
SEND_FLAGS = socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL
EPOLL_CTL_ADD = 1
# struct epoll_event is packed on x86-64 alone (sys/epoll.h).
_EVENT = struct.Struct("=Iq" if os.uname().machine == "x86_64" else "@Iq")

_library = ctypes.PyDLL(None, use_errno=True)
_accept4 = _library.accept4
_accept4.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int)
_recv = _library.recv
_recv.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
_recv.restype = ctypes.c_ssize_t
_send = _library.send
_send.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int)
_send.restype = ctypes.c_ssize_t
_epoll_ctl = _library.epoll_ctl
_epoll_ctl.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_char_p)
_close = _library.close
_close.argtypes = (ctypes.c_int,)

# The interpreter is not given away meanwhile, so that one of each is enough for all.
_address = ctypes.create_string_buffer(ADDRESS_BYTES)
_length = ctypes.c_uint32()
_piece = ctypes.create_string_buffer(PIECE_BYTES)


def accept(listening: socket.socket) -> tuple[socket.socket, object]:
    """Accept a connection; its socket does not block, and its peer is as `socket.accept` says it.

    Raises:
        OSError: Nobody waits (BlockingIOError), or as accept(2) says.
    """
    _length.value = ADDRESS_BYTES
    descriptor = _accept4(listening.fileno(), _address, ctypes.addressof(_length), FLAGS)
    if descriptor < 0:
        raise _error()
    sock = socket.socket(listening.family, listening.type, listening.proto, fileno=descriptor)
    return sock, _peer(_address.raw[: _length.value])


def receive(sock: socket.socket) -> bytes:
    """Return what there is, at most `PIECE_BYTES` of it; nothing at the end.

    Raises:
        OSError: There is nothing yet (BlockingIOError), or the client is gone.
    """
    count = _recv(sock.fileno(), _piece, PIECE_BYTES, socket.MSG_DONTWAIT)
    if count < 0:
        raise _error()
    return _piece.raw[:count] if count == PIECE_BYTES else ctypes.string_at(_piece, count)


def send(sock: socket.socket, data: bytes) -> int:
    """Give the kernel what it takes now; return how many bytes that are.

    Raises:
        OSError: It takes none (BlockingIOError), or the client is gone.
    """
    count: int = _send(sock.fileno(), data, len(data), SEND_FLAGS)
    if count < 0:
        raise _error()
    return count


def watch(epoll: select.epoll, descriptor: int, events: int) -> None:
    """Have the kernel report events of a descriptor.

    Raises:
        OSError: It is short of what it needs for that.
    """
    if _epoll_ctl(epoll.fileno(), EPOLL_CTL_ADD, descriptor, _EVENT.pack(events, descriptor)) < 0:
        raise _error()


def close(sock: socket.socket) -> None:
    """Close a socket; closing twice is nothing."""
    descriptor = sock.detach()
    if descriptor >= 0:
        _close(descriptor)


def _error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))


def _peer(address: bytes) -> object:
    family = int.from_bytes(address[:2], sys.byteorder)
    if family == socket.AF_INET:
        return socket.inet_ntop(family, address[4:8]), int.from_bytes(address[2:4], "big")
    if family == socket.AF_INET6:
        port, flow, scope = struct.unpack_from("!HI16x", address, 2)[:2] + struct.unpack_from(
            "=I", address, 24
        )
        return socket.inet_ntop(family, address[8:24]), port, flow, scope
    return ""  # A Unix socket: clients have no name.
