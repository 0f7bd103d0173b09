"""A server of buckets of our own that can be as bad as they are; it checks digests and no signatures."""

import hashlib
from base64 import b64encode
from collections.abc import Callable
from typing import Any
from xml.sax.saxutils import escape

from tests.exporter.server import Answer, Asked, Server, number_of

XMLNS = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


def error(code: str, status: int) -> Answer:
    """An error as such servers write it."""
    return Answer(status=status, body=f"<Error><Code>{code}</Code></Error>".encode())


def document(root: str, child: str, text: str) -> bytes:
    """An answer as such servers write it."""
    return f"<{root} {XMLNS}><{child}>{escape(text)}</{child}></{root}>".encode()


class Bucket:
    """Objects by path, and uploads that are not complete.

    Attributes:
        objects: Those that are whole.
        uploads: Parts by number, of each upload that is open.
        dropped: Uploads that were aborted.
        faults: By `METHOD query`, what to do instead, each once: an answer, or None to break off.
    """

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.fields: dict[str, dict[str, str]] = {}
        self.uploads: dict[str, dict[int, bytes]] = {}
        self.dropped: list[str] = []
        self.faults: dict[str, list[Answer | Callable[[Asked], Any] | None]] = {}

    def server(self) -> Server:
        """What serves it."""
        return Server(self.handle)

    async def handle(self, asked: Asked) -> Answer | None:
        """Answer a request."""
        key = " ".join([asked.method, *sorted(asked.query)])
        if self.faults.get(key):
            fault = self.faults[key].pop(0)
            if callable(fault):
                return await fault(asked)  # type: ignore[no-any-return] # a fault answers with a response or with None
            return fault
        return self.answer(asked)

    def answer(self, asked: Asked) -> Answer:
        """Answer it as an honest server."""
        told = asked.headers.get("x-amz-checksum-sha256")
        if told is not None and told != b64encode(hashlib.sha256(asked.body).digest()).decode():
            return error("BadDigest", 400)
        if "uploadId" in asked.query:
            return self._in_upload(asked, asked.query["uploadId"])
        answers = {"HEAD": self._head, "GET": self._get, "POST": self._begin, "PUT": self._put}
        return answers[asked.method](asked)

    def _get(self, asked: Asked) -> Answer:
        found = self.objects.get(asked.path)
        return error("NoSuchKey", 404) if found is None else Answer(body=found)

    def _begin(self, asked: Asked) -> Answer:
        upload = f"up/{len(self.uploads) + len(self.dropped)}+x"
        self.uploads[upload] = {}
        self.fields[asked.path] = asked.headers
        return Answer(body=document("InitiateMultipartUploadResult", "UploadId", upload))

    def _put(self, asked: Asked) -> Answer:
        if self._is_taken(asked):
            return error("PreconditionFailed", 412)
        self.objects[asked.path], self.fields[asked.path] = asked.body, asked.headers
        return Answer(headers={"ETag": '"one"'})

    def _in_upload(self, asked: Asked, upload: str) -> Answer:
        if upload not in self.uploads:
            return error("NoSuchUpload", 404)
        if asked.method == "DELETE":
            self.dropped.append(upload)
            del self.uploads[upload]
            return Answer(status=204)
        if asked.method == "PUT":
            self.uploads[upload][number_of(asked)] = asked.body
            return Answer(headers={"ETag": f'"{hashlib.md5(asked.body).hexdigest()}"'})
        if self._is_taken(asked):
            return error("PreconditionFailed", 412)
        parts = self.uploads.pop(upload)
        self.objects[asked.path] = b"".join(parts[number] for number in sorted(parts))
        return Answer(body=document("CompleteMultipartUploadResult", "ETag", f'"whole-{len(parts)}"'))

    def _is_taken(self, asked: Asked) -> bool:
        return asked.headers.get("if-none-match") == "*" and asked.path in self.objects

    def _head(self, asked: Asked) -> Answer:
        if asked.path not in self.objects:
            return Answer(status=404)
        size = len(self.objects[asked.path])
        meta = self.fields.get(asked.path, {}).get("x-amz-meta-sha256", "")
        return Answer(headers={"Content-Length": str(size), "x-amz-meta-sha256": meta, "ETag": '"one"'})
