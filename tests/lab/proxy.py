"""An egress proxy: CONNECT and absolute URLs, or whatever a test makes of it."""

import asyncio
from types import TracebackType
from typing import Self


class Proxy:
    """Connects everybody to one place, whatever they ask for.

    Args:
        leads_to: Host and port that every request ends up at.
        says: Sent in answer to CONNECT, instead of connecting.

    Attributes:
        heads: The first line and the fields of each request, as they came.
    """

    def __init__(self, leads_to: tuple[str, int], says: bytes | None = None) -> None:
        self.heads: list[str] = []
        self.port = 0
        self._leads_to = leads_to
        self._says = says

    @property
    def url(self) -> str:
        """What [egress] must say to go through it."""
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go."""
        self._server.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.heads.append(head.decode("latin-1"))
            if self._says is not None:
                writer.write(self._says)
                await writer.drain()
                return
            other_reader, other_writer = await asyncio.open_connection(*self._leads_to)
            if head.startswith(b"CONNECT "):
                writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
            else:
                other_writer.write(head)
            await asyncio.gather(_copy(reader, other_writer), _copy(other_reader, writer))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
    finally:
        writer.close()
