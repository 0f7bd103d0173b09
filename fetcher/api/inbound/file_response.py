"""An answer whose body is a part of a file, which the server sends without a copy."""

from collections.abc import Mapping
from io import FileIO

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

# The message and the name of the extension. Source: ASGI specification, "Zero Copy Send".
# Here `offset` and `count` are always given, and the part is the whole body.
SENDS_FILES = "http.response.zerocopysend"


def sends_files(request: Request) -> bool:
    """Return whether the server of a request sends files by itself."""
    return SENDS_FILES in request.scope.get("extensions", {})


class FileResponse(Response):
    """A part of an open file; the file is closed with the answer.

    Args:
        file: Read by the server alone; where it stands does not matter.
        offset: The first byte.
        count: How many; the headers say the same as Content-Length.
    """

    def __init__(
        self, file: FileIO, offset: int, count: int, status_code: int, headers: Mapping[str, str]
    ) -> None:
        super().__init__(status_code=status_code, headers=headers)
        self._file = file
        self._offset = offset
        self._count = count

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Send the head and name the part."""
        with self._file:
            await send(
                {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            )
            await send(
                {"type": SENDS_FILES, "file": self._file, "offset": self._offset, "count": self._count}
            )
