"""An origin that holds whoever asks: `python -m bench.hostile` prints its port and never lets go."""

import asyncio
import contextlib

HEAD = b'HTTP/1.1 200 OK\r\nETag: "1"\r\n'
LENGTH = b"Content-Length: 104857600\r\n\r\n"
KINDS = ("silent", "head", "stall", "drip", "chunks")


async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer by the first part of the path: one of the kinds."""
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        kind = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1].split(b"/")[1].decode()
        if kind == "stall":
            writer.write(HEAD + LENGTH + bytes(65_536))
        elif kind == "drip":
            writer.write(HEAD + LENGTH)
            await drip(writer, bytes(1024))
        elif kind == "chunks":
            writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
            await drip(writer, b"1\r\n\0\r\n")
        elif kind == "head":
            writer.write(HEAD)
            await drip(writer, b"X: y\r\n")
        await reader.read()
    writer.transport.abort()


async def drip(writer: asyncio.StreamWriter, piece: bytes) -> None:
    """Send a little, again and again, as long as the other end bears it."""
    while not writer.is_closing():
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0.5)


async def main() -> None:
    """Listen until killed."""
    server = await asyncio.start_server(hold, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
