"""The files among one connection's answers: when they may begin, and what is left of them."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from fetcher.api.inbound.file_sender import FileSender, Sending

SHORT_SECONDS = 0.05  # Between two tries to get a descriptor.


class FilesOut:
    """Sends the files of one connection, one after the other as its answers are.

    Args:
        sender: Of all connections.
    """

    def __init__(self, sender: FileSender) -> None:
        self._sender = sender
        self._sending: Sending | None = None

    @property
    def left(self) -> int:
        """Return how many bytes of a file the kernel has not taken yet."""
        return 0 if self._sending is None else self._sending.left

    def stop(self) -> None:
        """Send no more: the connection is gone."""
        if self._sending is not None:
            self._sending.stop()

    async def send(self, cycle: RequestResponseCycle, message: Any) -> None:
        """Send a part of a file as the whole body of an answer whose head says its length.

        Args:
            message: With `file`, `offset` and `count` (`file_response.SENDS_FILES`); `sent` is put into it,
                also where the client leaves early.

        Raises:
            RuntimeError: The head says another length, or none.
            StoreFailed: The file cannot be read, or is shorter.
        """
        count = message["count"]
        if not cycle.disconnected and (cycle.chunked_encoding or count != cycle.expected_content_length):
            raise RuntimeError("the head of a file's answer must say how long the part is")
        await self._drain(cycle)
        self._sending = await self._begun(cycle, message) if count else None
        if self._sending is not None:
            try:
                if not await self._sender.finish(self._sending):
                    cycle.transport.abort()
                    return
            finally:
                message["sent"] = count - self._sending.left
                self._sending = None
            cycle.expected_content_length = 0
        await cycle.send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _drain(self, cycle: RequestResponseCycle) -> None:
        """Wait until all that was written has left the process: what follows takes another way."""
        if _is_over(cycle):
            return
        low, high = cycle.transport.get_write_buffer_limits()
        cycle.transport.set_write_buffer_limits(high=0)
        while not _is_over(cycle) and cycle.transport.get_write_buffer_size():
            await cycle.flow.drain()
        if not _is_over(cycle):
            cycle.transport.set_write_buffer_limits(high=high, low=low)

    async def _begun(self, cycle: RequestResponseCycle, message: Any) -> Sending | None:
        """Begin as soon as there is a descriptor for it; None where the client is gone."""
        part = message["file"].fileno(), message["offset"], message["count"]
        while not _is_over(cycle):
            # Asked for anew each time: after a wait the number may be another connection's.
            connection = cycle.transport.get_extra_info("socket").fileno()
            sending = self._sender.begin(connection, *part)
            if sending is not None:
                return sending
            await asyncio.sleep(SHORT_SECONDS)
        cycle.disconnected = True  # No answer can reach it any more.
        return None


def _is_over(cycle: RequestResponseCycle) -> bool:
    return cycle.disconnected or cycle.transport.is_closing()
