"""The verbs of one bucket: objects, and multipart uploads that become objects."""

from datetime import datetime
from typing import Any
from uuid import uuid4

from botocore.exceptions import ClientError

from fetcher.errors import StoreFailed
from fetcher.store.s3.wire import faults
from fetcher.store.s3.wire.objects import Objects


class Bucket(Objects):
    """Speaks to one bucket; its coroutines run on its own thread's loop: see `call`, `finish` and `run`."""

    async def create_upload(self, key: str) -> str:
        """Begin a multipart upload, the only one to this key."""
        tries = 0

        async def send() -> str:
            nonlocal tries
            tries += 1
            return str((await self.client.create_multipart_upload(**self.at(key)))["UploadId"])

        upload = await self.with_retries("begin", send)
        if tries > 1:  # An earlier one may have begun without our hearing of it.
            for _key, other, _begun in await self.uploads(key):
                if other != upload:
                    await self.abort(key, other)
        return upload

    async def put_part(self, key: str, upload: str, number: int, body: bytes) -> str:
        """Send a part; its ETag comes back. Sending one again replaces it."""
        parameters = {**self.at(key), "UploadId": upload, "PartNumber": number}
        answer = await self.with_retries("write", lambda: self.client.upload_part(**parameters, Body=body))
        return str(answer["ETag"])

    async def copy_part(self, key: str, upload: str, number: int, source: str, span: tuple[int, int]) -> str:
        """Have the server make a part of another object's bytes; its ETag comes back."""
        begin, end = span
        parameters = {
            **self.at(key),
            "UploadId": upload,
            "PartNumber": number,
            "CopySource": {"Bucket": self.place.bucket, "Key": self.place.prefix + source},
            "CopySourceRange": f"bytes={begin}-{end - 1}",
        }
        answer = await self.with_retries("copy", lambda: self.client.upload_part_copy(**parameters))
        return str(answer["CopyPartResult"]["ETag"])

    async def parts(self, key: str, upload: str) -> dict[int, tuple[str, int]] | None:
        """Return ETag and size of each part that is there; None where the upload has ended."""
        found: dict[int, tuple[str, int]] = {}
        marker = 0
        while True:

            async def send(marker: int = marker) -> Any:
                return await self.client.list_parts(**self.at(key), UploadId=upload, PartNumberMarker=marker)

            try:
                answer = await self.with_retries("list", send)
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
        parameters = {**self.at(key), "UploadId": upload, "MultipartUpload": {"Parts": parts}}
        try:
            await self.with_retries(
                "complete", lambda: self.client.complete_multipart_upload(**parameters, IfNoneMatch="*")
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
                await self.client.abort_multipart_upload(**self.at(key), UploadId=upload)
            except ClientError as error:
                if not (faults.is_no_upload(error) or faults.is_gone(error)):
                    raise

        await self.with_retries("abort", send)

    async def uploads(self, prefix: str) -> list[tuple[str, str, datetime]]:
        """Return key, id and beginning of each open upload below a prefix."""
        found = []
        marker: dict[str, str] = {}
        while True:

            async def send(marker: dict[str, str] = marker) -> Any:
                return await self.client.list_multipart_uploads(
                    Bucket=self.place.bucket, Prefix=self.place.prefix + prefix, **marker
                )

            answer = await self.with_retries("list", send)
            for one in answer.get("Uploads", ()):
                key = one["Key"].removeprefix(self.place.prefix)
                found.append((key, one["UploadId"], one["Initiated"]))
            if not answer.get("IsTruncated"):
                return found
            marker = {"KeyMarker": answer["NextKeyMarker"], "UploadIdMarker": answer["NextUploadIdMarker"]}

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
