"""The objects of a bucket: written, read, listed and removed as a whole."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from fetcher.store.s3.wire import faults
from fetcher.store.s3.wire.connection import Connection


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


class Objects(Connection):
    """Asks a bucket for objects, by their names without our prefix."""

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
                answer = await self.client.put_object(**self.at(key), Body=body, **condition)
            except ClientError as error:
                if faults.is_gone(error) and if_match:
                    return None
                if not faults.is_precondition(error):
                    raise
                # An earlier try may have been taken without our hearing of it, also one of the HTTP client's.
                there = await self._get(key)
                return there.etag if there is not None and there.body == body else None
            return str(answer["ETag"])

        return await self.with_retries("write", send)

    async def get(self, key: str) -> Got | None:
        """Read a small object as a whole; None where there is none."""
        return await self.with_retries("read", lambda: self._get(key))

    async def _get(self, key: str) -> Got | None:
        try:
            answer = await self.client.get_object(**self.at(key))
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
                answer = await self.client.get_object(**self.at(key), Range=f"bytes={offset}-")
            except ClientError as error:
                if faults.is_gone(error):
                    faults.raise_missing("read")
                if faults.code_of(error) in {"InvalidRange", "416"}:
                    return None
                raise
            return answer["Body"]

        return await self.with_retries("read", send)

    async def size(self, key: str) -> int | None:
        """Return how long an object is; None where there is none."""

        async def send() -> int | None:
            try:
                answer = await self.client.head_object(**self.at(key))
            except ClientError as error:
                if faults.is_gone(error):
                    return None
                raise
            return int(answer["ContentLength"])

        return await self.with_retries("look", send)

    async def delete(self, key: str) -> None:
        """Remove an object; one that is gone is fine."""
        await self.with_retries("remove", lambda: self.client.delete_object(**self.at(key)))

    async def objects(self, prefix: str) -> AsyncIterator[Listed]:
        """Yield all objects below a prefix, by their names without ours."""
        token: dict[str, str] = {}
        while True:

            async def send(token: dict[str, str] = token) -> Any:
                return await self.client.list_objects_v2(
                    Bucket=self.place.bucket, Prefix=self.place.prefix + prefix, **token
                )

            answer = await self.with_retries("list", send)
            for one in answer.get("Contents", ()):
                key = one["Key"].removeprefix(self.place.prefix)
                yield Listed(key=key, size=one["Size"], changed_at=one["LastModified"])
            if not answer.get("IsTruncated"):
                return
            token = {"ContinuationToken": answer["NextContinuationToken"]}

    async def link(self, key: str, seconds: int, headers: dict[str, str]) -> str:
        """Return a signed URL that reads an object for so many seconds."""
        made = await self.client.generate_presigned_url(
            "get_object", Params={**self.at(key), **headers}, ExpiresIn=seconds
        )
        return str(made)
