"""A registry of our own that can be as bad as they are."""

import hashlib
import re
from collections.abc import Callable
from typing import Any

from tests.exporter.server import Answer, Asked, Server

_UPLOAD = re.compile(r"/v2/([^?]+)/blobs/uploads/(?:(\w+))?")
_BLOB = re.compile(r"/v2/([^?]+)/blobs/(sha256:\w+)")
_MANIFEST = re.compile(r"/v2/([^?]+)/manifests/(.+)")


def digest_of(data: bytes) -> str:
    """As registries write it."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class Registry:
    """Blobs and manifests of any repository; no logins.

    Attributes:
        uploads: Those that are open, by id.
        faults: By method and kind (`PATCH upload`), what to do instead, each once.
        host: Before the Location of uploads; empty gives a path alone.
    """

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, bytes] = {}
        self.uploads: dict[str, bytes] = {}
        self.dropped: list[str] = []
        self.faults: dict[str, list[Answer | Callable[[Asked], Any] | None]] = {}
        self.host = ""

    def server(self) -> Server:
        """What serves it."""
        return Server(self.handle)

    async def handle(self, asked: Asked) -> Answer | None:
        """Answer a request."""
        kind = (
            "upload" if _UPLOAD.fullmatch(asked.path) else "blob" if "/blobs/" in asked.path else "manifest"
        )
        if self.faults.get(f"{asked.method} {kind}"):
            fault = self.faults[f"{asked.method} {kind}"].pop(0)
            if callable(fault):
                return await fault(asked)  # type: ignore[no-any-return] # a fault answers with a response or with None
            return fault
        return self.answer(asked)

    def answer(self, asked: Asked) -> Answer:
        """Answer it as an honest registry."""
        if match := _UPLOAD.fullmatch(asked.path):
            return self._begin(match[1]) if match[2] is None else self._upload(asked, match[1], match[2])
        if match := _BLOB.fullmatch(asked.path):
            return self._found(self.blobs.get(match[2]))
        match = _MANIFEST.fullmatch(asked.path)
        assert match is not None
        if asked.method != "PUT":
            return self._found(self.manifests.get(match[2]))
        if any(digest not in self.blobs for digest in re.findall(r"sha256:\w{64}", asked.body.decode())):
            return Answer(status=404, body=b'{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN"}]}')
        self.manifests[match[2]] = asked.body
        return Answer(status=201, headers={"Docker-Content-Digest": digest_of(asked.body)})

    def _found(self, data: bytes | None) -> Answer:
        if data is None:
            return Answer(status=404)
        fields = {"Docker-Content-Digest": digest_of(data), "Content-Length": str(len(data))}
        return Answer(body=data, headers=fields)

    def _begin(self, repository: str) -> Answer:
        upload = f"u{len(self.uploads) + len(self.dropped)}"
        self.uploads[upload] = b""
        return self._going_on(202, repository, upload)

    def _going_on(self, status: int, repository: str, upload: str) -> Answer:
        end = max(0, len(self.uploads[upload]) - 1)
        location = f"{self.host}/v2/{repository}/blobs/uploads/{upload}?_state=hidden{end}"
        return Answer(status=status, headers={"Location": location, "Range": f"0-{end}"})

    def _append(self, asked: Asked, repository: str, upload: str) -> Answer:
        if not asked.headers["content-range"].startswith(f"{len(self.uploads[upload])}-"):
            return Answer(status=416)
        self.uploads[upload] += asked.body
        return self._going_on(202, repository, upload)

    def _upload(self, asked: Asked, repository: str, upload: str) -> Answer:
        if upload not in self.uploads:
            return Answer(status=404)
        if asked.method == "DELETE":
            del self.uploads[upload]
            self.dropped.append(upload)
            return Answer(status=204)
        if asked.method == "GET":
            return self._going_on(204, repository, upload)
        if asked.method == "PATCH":
            return self._append(asked, repository, upload)
        data = self.uploads.pop(upload) + asked.body
        if digest_of(data) != asked.query["digest"]:
            return Answer(status=400, body=b'{"errors":[{"code":"DIGEST_INVALID"}]}')
        self.blobs[asked.query["digest"]] = data
        return Answer(status=201, headers={"Docker-Content-Digest": asked.query["digest"]})
