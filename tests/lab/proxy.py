"""An egress proxy: CONNECT and absolute URLs, or whatever a test makes of it."""

import asyncio

from tests.lab.relay import Relay


class Proxy(Relay):
    """Connects everybody to one place, whatever they ask for.

    Args:
        leads_to: Host and port that every request ends up at.
        says: Sent in answer to CONNECT, instead of connecting.

    Attributes:
        heads: The first line and the fields of each request, as they came.
    """

    def __init__(self, leads_to: tuple[str, int], says: bytes | None = None) -> None:
        super().__init__()
        self.heads: list[str] = []
        self._leads_to = leads_to
        self._says = says

    @property
    def url(self) -> str:
        """What [egress] must say to go through it."""
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer a request, or pass it on with all that follows."""
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head.decode("latin-1"))
        if self._says is not None:
            writer.write(self._says)
            await writer.drain()
            return
        server = await asyncio.open_connection(*self._leads_to)
        if head.startswith(b"CONNECT "):
            writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        else:
            server[1].write(head)
        await self.join((reader, writer), server)
