"""The requests to a bucket: one client in a thread of its own, whose answers are translated once."""

import asyncio
import random
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from concurrent.futures import Future
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from uuid import uuid4

import structlog
from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession
from botocore.exceptions import ClientError
from botocore.loaders import create_loader

from fetcher.errors import Shortage, StoreFailed, StoreFull
from fetcher.store.s3 import faults
from fetcher.store.s3.place import Place

R = TypeVar("R")

FIRST_WAIT_SECONDS = 0.05
MAX_WAIT_SECONDS = 5.0
CONNECT_SECONDS = 10.0
LOADER = create_loader()  # What it has read of the service's description serves every client.

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Listed:
    """One object of a list."""

    key: str
    size: int
    changed_at: datetime


@dataclass(frozen=True, kw_only=True)
class Got:
    """A small object as a whole."""

    body: bytes
    etag: str
    changed_at: datetime


class Bucket:
    """Speaks to one bucket; its coroutines run on its own thread's loop: see `call` and `run`.

    A request that meets a busy server, a reset or a timeout is sent again for
    `patience_seconds`; then it is a Shortage, which is no verdict on anything.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="bucket", daemon=True)
        self._stack = AsyncExitStack()
        self._client: Any = None

    def open(self) -> None:
        """Start the thread and make the client; no request is sent."""
        self._thread.start()
        self.run(self._connect())

    async def _connect(self) -> None:
        place = self.place
        session = AioSession()
        session.register_component("data_loader", LOADER)
        if place.credentials_file:
            session.set_config_variable("credentials_file", place.credentials_file)
        config = AioConfig(
            signature_version="s3v4",
            s3={"addressing_style": place.addressing},
            retries={"total_max_attempts": 1},  # Ours wait longer, and know which answers may be repeated.
            connect_timeout=CONNECT_SECONDS,
            read_timeout=place.request_seconds,
            max_pool_connections=64,
        )
        making = session.create_client(
            "s3", endpoint_url=place.endpoint or None, region_name=place.region, config=config
        )
        try:
            self._client = await self._stack.enter_async_context(making)
        except Exception as error:
            raise faults.translate(error, "connect") from error

    def close(self) -> None:
        """Close the client and end the thread; closing twice is nothing."""
        if not self._thread.is_alive():
            self._loop.close()
            return
        self.run(self._stack.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def start(self, work: Coroutine[Any, Any, R]) -> Future[R]:
        """Begin work on the bucket's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def run(self, work: Coroutine[Any, Any, R]) -> R:
        """Do work on the bucket's loop; blocks."""
        return self.start(work).result()

    async def call(self, work: Coroutine[Any, Any, R]) -> R:
        """Do work on the bucket's loop; cancelling the caller cancels it."""
        return await asyncio.wrap_future(self.start(work))

    async def put(
        self, key: str, body: bytes, *, if_match: str | None = None, is_new: bool = False
    ) -> str | None:
        """Write a small object; the ETag comes back, or None where the condition did not hold.

        A body with a condition is like no other, so that finding it there means that it was written.
        """
        condition: dict[str, str] = (
            {"IfNoneMatch": "*"} if is_new else {"IfMatch": if_match} if if_match else {}
        )

        async def send() -> str | None:
            try:
                answer = await self._client.put_object(**self._at(key), Body=body, **condition)
            except ClientError as error:
                if faults.is_gone(error) and if_match:
                    return None
                if not faults.is_precondition(error):
                    raise
                # An earlier try may have been taken without our hearing of it, also one of the HTTP client's.
                there = await self._get(key)
                return there.etag if there is not None and there.body == body else None
            return str(answer["ETag"])

        return await self._patiently("write", send)

    async def get(self, key: str) -> Got | None:
        """Read a small object as a whole; None where there is none."""
        return await self._patiently("read", lambda: self._get(key))

    async def _get(self, key: str) -> Got | None:
        try:
            answer = await self._client.get_object(**self._at(key))
            async with answer["Body"] as body:
                data = await body.read()
        except ClientError as error:
            if faults.is_gone(error):
                return None
            raise
        if len(data) != answer["ContentLength"]:
            raise EOFError("the body broke off")
        return Got(body=data, etag=answer["ETag"], changed_at=answer["LastModified"])

    async def open_stream(self, key: str, offset: int) -> Any:
        """Begin to read an object from a byte on; the caller closes what comes back. None beyond its end."""

        async def send() -> Any:
            try:
                answer = await self._client.get_object(**self._at(key), Range=f"bytes={offset}-")
            except ClientError as error:
                if faults.is_gone(error):
                    faults.raise_missing("read")
                if faults.code_of(error) in {"InvalidRange", "416"}:
                    return None
                raise
            return answer["Body"]

        return await self._patiently("read", send)

    async def size(self, key: str) -> int | None:
        """Return how long an object is; None where there is none."""

        async def send() -> int | None:
            try:
                answer = await self._client.head_object(**self._at(key))
            except ClientError as error:
                if faults.is_gone(error):
                    return None
                raise
            return int(answer["ContentLength"])

        return await self._patiently("look", send)

    async def delete(self, key: str) -> None:
        """Remove an object; one that is gone is fine."""
        await self._patiently("remove", lambda: self._client.delete_object(**self._at(key)))

    async def objects(self, prefix: str) -> AsyncIterator[Listed]:
        """Yield all objects below a prefix, by their names without ours."""
        token: dict[str, str] = {}
        while True:

            async def send(token: dict[str, str] = token) -> Any:
                return await self._client.list_objects_v2(
                    Bucket=self.place.bucket, Prefix=self.place.prefix + prefix, **token
                )

            answer = await self._patiently("list", send)
            for one in answer.get("Contents", ()):
                key = one["Key"].removeprefix(self.place.prefix)
                yield Listed(key=key, size=one["Size"], changed_at=one["LastModified"])
            if not answer.get("IsTruncated"):
                return
            token = {"ContinuationToken": answer["NextContinuationToken"]}

    async def create_upload(self, key: str) -> str:
        """Begin a multipart upload, the only one to this key."""
        tries = 0

        async def send() -> str:
            nonlocal tries
            tries += 1
            return str((await self._client.create_multipart_upload(**self._at(key)))["UploadId"])

        upload = await self._patiently("begin", send)
        if tries > 1:  # An earlier one may have begun without our hearing of it.
            for _key, other, _begun in await self.uploads(key):
                if other != upload:
                    await self.abort(key, other)
        return upload

    async def put_part(self, key: str, upload: str, number: int, body: bytes) -> str:
        """Send a part; its ETag comes back. Sending one again replaces it."""
        told = {**self._at(key), "UploadId": upload, "PartNumber": number}
        answer = await self._patiently("write", lambda: self._client.upload_part(**told, Body=body))
        return str(answer["ETag"])

    async def copy_part(self, key: str, upload: str, number: int, source: str, span: tuple[int, int]) -> str:
        """Have the server make a part of another object's bytes; its ETag comes back."""
        begin, end = span
        told = {
            **self._at(key),
            "UploadId": upload,
            "PartNumber": number,
            "CopySource": {"Bucket": self.place.bucket, "Key": self.place.prefix + source},
            "CopySourceRange": f"bytes={begin}-{end - 1}",
        }
        answer = await self._patiently("copy", lambda: self._client.upload_part_copy(**told))
        return str(answer["CopyPartResult"]["ETag"])

    async def parts(self, key: str, upload: str) -> dict[int, tuple[str, int]] | None:
        """Return ETag and size of each part that is there; None where the upload has ended."""
        found: dict[int, tuple[str, int]] = {}
        marker = 0
        while True:

            async def send(marker: int = marker) -> Any:
                return await self._client.list_parts(
                    **self._at(key), UploadId=upload, PartNumberMarker=marker
                )

            try:
                answer = await self._patiently("list", send)
            except StoreFailed as failure:
                if failure.__cause__ is not None and faults.is_no_upload(failure.__cause__):
                    return None
                raise
            for part in answer.get("Parts", ()):
                found[part["PartNumber"]] = (part["ETag"], part["Size"])
            if not answer.get("IsTruncated"):
                return found
            marker = answer["NextPartNumberMarker"]

    async def complete(self, key: str, upload: str, etags: list[str], size: int) -> None:
        """Make an object of an upload's parts; nothing is ever overwritten by that.

        Raises:
            StoreFailed: The upload has ended otherwise, or the object has another length.
        """
        parts = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, 1)]
        told = {**self._at(key), "UploadId": upload, "MultipartUpload": {"Parts": parts}}
        try:
            await self._patiently(
                "complete", lambda: self._client.complete_multipart_upload(**told, IfNoneMatch="*")
            )
        except StoreFailed as failure:
            cause = failure.__cause__
            # The key is ours alone: an object that has appeared there is the answer to an earlier try.
            if cause is None or not (faults.is_no_upload(cause) or faults.is_precondition(cause)):
                raise
        if await self.size(key) != size:
            raise StoreFailed(reason="complete: another process has ended this upload")

    async def abort(self, key: str, upload: str) -> None:
        """End an upload and drop its parts; one that has ended is fine."""

        async def send() -> None:
            try:
                await self._client.abort_multipart_upload(**self._at(key), UploadId=upload)
            except ClientError as error:
                if not (faults.is_no_upload(error) or faults.is_gone(error)):
                    raise

        await self._patiently("abort", send)

    async def uploads(self, prefix: str) -> list[tuple[str, str, datetime]]:
        """Return key, id and beginning of each open upload below a prefix."""
        found = []
        marker: dict[str, str] = {}
        while True:

            async def send(marker: dict[str, str] = marker) -> Any:
                return await self._client.list_multipart_uploads(
                    Bucket=self.place.bucket, Prefix=self.place.prefix + prefix, **marker
                )

            answer = await self._patiently("list", send)
            for one in answer.get("Uploads", ()):
                key = one["Key"].removeprefix(self.place.prefix)
                found.append((key, one["UploadId"], one["Initiated"]))
            if not answer.get("IsTruncated"):
                return found
            marker = {"KeyMarker": answer["NextKeyMarker"], "UploadIdMarker": answer["NextUploadIdMarker"]}

    async def look(self) -> None:
        """Ask for the bucket once, without patience: for who wants to know whether it works.

        Raises:
            StoreFailed: It does not.
        """
        try:
            await self._client.list_objects_v2(Bucket=self.place.bucket, Prefix=self.place.prefix, MaxKeys=1)
        except Exception as error:
            raise faults.translate(error, "look") from error

    async def probe(self) -> bool:
        """Write and remove a small object; return whether the server keeps to conditions of writes.

        Raises:
            StoreFailed: The bucket cannot be used.
        """
        await self.look()
        key = f"probe/{uuid4().hex}"
        await self.put(key, b"1", is_new=True)
        is_kept = await self.put(key, b"2", is_new=True) is None
        await self.delete(key)
        return is_kept

    async def link(self, key: str, seconds: int, headers: dict[str, str]) -> str:
        """Return a signed URL that reads an object for so many seconds."""
        made = await self._client.generate_presigned_url(
            "get_object", Params={**self._at(key), **headers}, ExpiresIn=seconds
        )
        return str(made)

    def _at(self, key: str) -> dict[str, str]:
        return {"Bucket": self.place.bucket, "Key": self.place.prefix + key}

    async def _patiently(self, doing: str, send: Callable[[], Awaitable[R]]) -> R:
        """Send a request, and again while the server is busy or away.

        Raises:
            Shortage: It was for too long.
            StoreFull: The server has no room.
            StoreFailed: It refused.
        """
        end = self._loop.time() + self.place.patience_seconds
        wait = FIRST_WAIT_SECONDS
        while True:
            try:
                return await send()
            except (StoreFailed, StoreFull):
                raise
            except Exception as error:
                failure = faults.translate(error, doing)
                if not isinstance(failure, Shortage) or self._loop.time() + wait > end:
                    raise failure from error
                log.info("bucket.again", doing=doing, detail=failure.reason, again_in_seconds=round(wait, 2))
            await asyncio.sleep(wait * random.uniform(0.5, 1.0))  # noqa: S311 - spreads load, guards nothing
            wait = min(2 * wait, MAX_WAIT_SECONDS)
