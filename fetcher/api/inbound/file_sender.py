"""Bytes of files to clients without a copy in this process: threads that wait for sockets and call sendfile.

The loop is notified when the last byte of a file is with the kernel. Reads that wait for the disk hold a
thread here and never the loop.
"""

import asyncio
import errno
import os
import select
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from fetcher.errors import StoreFailed
from fetcher.shortage import is_shortage

THREADS = 4  # One that waits for the disk does not keep the others from sending.
SLICES_ALONE = 16  # Of one that nobody stands behind; then somebody may have come.
SLICE_BYTES = 1_048_576  # Then every other client that can take bytes has its turn.
COPY_BYTES = 262_144
ARMED = select.EPOLLOUT | select.EPOLLONESHOT  # One thread at a time has a connection.
# What a file system says that the kernel cannot send from (sendfile(2)).
CANNOT = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EOVERFLOW})
# What a socket says whose client is gone (tcp(7), ip(7)).
GONE = frozenset(
    {errno.EPIPE, errno.ECONNRESET, errno.ECONNABORTED, errno.ENOTCONN, errno.ETIMEDOUT}
    | {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN}
)

SendFile = Callable[[int, int, int, int], int]


@dataclass(eq=False, kw_only=True)
class Sending:
    """A part of a file on its way to one client.

    Args:
        out: The connection, by a descriptor of its own: who closes the transport meanwhile lets nobody
            else's connection have its number.
        file: Where the bytes are.
        offset: The next byte.
        left: How many bytes the kernel has not taken yet.
    """

    out: socket.socket
    file: int
    offset: int
    left: int
    is_stopped: bool = False
    error: OSError | StoreFailed | None = None
    done: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def stop(self) -> None:
        """Send no more: the connection ends, and whichever thread waits for it is woken."""
        self.is_stopped = True
        with suppress(OSError):
            self.out.shutdown(socket.SHUT_RDWR)

    def end(self) -> None:
        """Have the one who waits go on; in the loop's thread."""
        if not self.done.done():
            self.done.set_result(None)


class FileSender:
    """Sends parts of files over connections whose earlier bytes have all left the process.

    Clients that can take bytes stand in one line, the kernel's: each turn is a slice, and whoever
    wants more stands behind the others again. So many downloads at once share evenly.

    Args:
        sendfile: Sends some bytes: socket, file, offset, count; a test replaces it.

    Source: sendfile(2), epoll(7).
    """

    def __init__(self, sendfile: SendFile = os.sendfile) -> None:
        self._sendfile = sendfile
        self._sendings: dict[int, Sending] = {}
        self._epoll = select.epoll()
        self._end = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._epoll.register(self._end, select.EPOLLIN)
        self._loop = asyncio.get_running_loop()
        self._threads = [
            threading.Thread(target=self._work, name=f"sender-{number}", daemon=True)
            for number in range(THREADS)
        ]
        for thread in self._threads:
            thread.start()

    def begin(self, connection: int, file: int, offset: int, count: int) -> Sending | None:
        """Start to send; None while the process has no descriptor left: ask again a moment later."""
        try:
            descriptor = os.dup(connection)
        except OSError as error:
            if is_shortage(error):
                return None
            raise
        out = socket.socket(fileno=descriptor)
        sending = Sending(out=out, file=file, offset=offset, left=count)
        self._sendings[out.fileno()] = sending
        self._epoll.register(out.fileno(), ARMED)
        return sending

    async def finish(self, sending: Sending) -> bool:
        """Wait until no thread touches the file any more; a cancelled caller stops it, and waits too.

        Returns:
            Whether everything was sent; False where the client is gone.

        Raises:
            StoreFailed: The file cannot be read, or ends before its bytes do.
        """
        cancelled: asyncio.CancelledError | None = None
        while not sending.done.done():
            try:
                await asyncio.wait({sending.done})
            except asyncio.CancelledError as error:
                sending.stop()
                cancelled = error
        del self._sendings[sending.out.fileno()]
        sending.out.close()
        if cancelled is not None:
            raise cancelled
        if isinstance(sending.error, StoreFailed):
            raise sending.error
        if sending.error is not None and sending.error.errno not in GONE:
            raise StoreFailed(reason=f"send: {sending.error.strerror}") from sending.error
        return not sending.left

    async def close(self) -> None:
        """Stop what is still being sent, and end the threads."""
        for sending in list(self._sendings.values()):
            sending.stop()
        while self._sendings:
            await asyncio.wait({sending.done for sending in self._sendings.values()})
            await asyncio.sleep(0)  # Those who waited let go of their descriptors.
        os.eventfd_write(self._end, 1)
        for thread in self._threads:
            await self._loop.run_in_executor(None, thread.join)
        self._epoll.close()
        os.close(self._end)

    # --- in the threads

    def _work(self) -> None:
        while True:
            for descriptor, _events in self._epoll.poll(maxevents=1):
                if descriptor == self._end:
                    return
                self._take_turn(self._sendings[descriptor])

    def _take_turn(self, sending: Sending) -> None:
        try:
            for _ in range(SLICES_ALONE):
                if not sending.left or sending.is_stopped:
                    break
                self._send_slice(sending)
                if len(self._sendings) > 1:
                    break  # Others want their turn.
        except BlockingIOError:
            pass
        except (OSError, StoreFailed) as error:
            sending.error = error
        descriptor = sending.out.fileno()
        if sending.left and not sending.is_stopped and sending.error is None:
            self._epoll.modify(descriptor, ARMED)
            return
        self._epoll.unregister(descriptor)
        with suppress(RuntimeError):  # The loop is closed: nobody waits any more.
            self._loop.call_soon_threadsafe(sending.end)

    def _send_slice(self, sending: Sending) -> None:
        count = min(sending.left, SLICE_BYTES)
        try:
            sent = self._sendfile(sending.out.fileno(), sending.file, sending.offset, count)
        except OSError as error:
            if error.errno not in CANNOT:
                raise
            sent = sending.out.send(os.pread(sending.file, min(count, COPY_BYTES), sending.offset))
        if not sent:
            raise StoreFailed(reason="send: the file ends before its bytes do")
        sending.offset += sent
        sending.left -= sent
