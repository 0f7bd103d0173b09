"""The outgoing bytes of an image: as they are kept, or as a conversion makes them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from fetcher.config import Settings
from fetcher.convert.files import Job, convert_file
from fetcher.convert.qemu_img import DRIVERS
from fetcher.errors import InvalidRequest, TooManyBytes
from fetcher.exporter.reading import Reading
from fetcher.guards import Chain, GuardContext, Purpose
from fetcher.importer.context import Context
from fetcher.importer.receive.staged_peer import READ_BYTES, read_back
from fetcher.model import Image, Submission
from fetcher.store.protocol import Staged

Sent = Callable[[int], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class Outbound:
    """Bytes that are ready to go.

    Args:
        disk_format: Of these bytes.
    """

    reading: Reading
    disk_format: str | None


def check_format(image: Image, wanted: str | None, settings: Settings) -> None:
    """Refuse a conversion that is not offered, or that nothing of the image could go through.

    Raises:
        InvalidRequest: It is none.
    """
    if wanted is None:
        return
    offered = [name for name in settings.convert.offered if name != "as-received"]
    if wanted not in offered:
        reason = f"images are converted to {', '.join(offered) or 'nothing'} here"
        raise InvalidRequest(field="format", reason=reason)
    if is_converted(image, wanted) and (
        image.disk_format not in DRIVERS or image.disk_format == "iso" or image.container_format != "bare"
    ):
        raise InvalidRequest(field="format", reason=f"no disk is made of {image.disk_format}")


def is_converted(image: Image, wanted: str | None) -> bool:
    """Return whether an image is another one on its way out."""
    return wanted is not None and wanted != image.disk_format


def most_bytes(image: Image, wanted: str | None) -> int:
    """Return how many bytes may go out: a disk that is converted is known by its virtual size alone."""
    size = image.size or 0
    return max(size, image.virtual_size or 0) if is_converted(image, wanted) else size


@asynccontextmanager
async def outbound(
    context: Context, export_id: str, image: Image, wanted: str | None, sent: Sent
) -> AsyncIterator[Outbound]:
    """Give what goes out; what was converted for it is removed afterwards.

    Raises:
        ConversionFailed: The image cannot be converted.
        ConversionUnavailable: It takes a sandbox, and there is none.
        TooManyBytes: The disk is larger than an image may be here.
        Failure: A guard refuses the result.
    """
    sha256, size = image.sha256 or "", image.size or 0
    if not is_converted(image, wanted):

        def read(offset: int, length: int) -> AsyncIterator[bytes]:
            return context.store.read(sha256, offset, length)

        yield Outbound(reading=Reading(read, size, sha256, sent), disk_format=image.disk_format)
        return
    async with AsyncExitStack() as stack:
        staged = await _convert(context, export_id, image, wanted or "", stack)
        digests = await _judge(context, staged, wanted or "")

        async def read_staged(offset: int, length: int) -> AsyncIterator[bytes]:
            while length > 0 and (
                chunk := await context.store.read_back(staged, offset, min(READ_BYTES, length))
            ):
                offset, length = offset + len(chunk), length - len(chunk)
                yield chunk

        yield Outbound(reading=Reading(read_staged, staged.size, digests["sha256"], sent), disk_format=wanted)


async def _convert(
    context: Context, export_id: str, image: Image, wanted: str, stack: AsyncExitStack
) -> Staged:
    store, settings = context.store, context.current.settings
    virtual_bytes = image.virtual_size or image.size or 0
    if virtual_bytes > settings.size.max_bytes:
        raise TooManyBytes(max_bytes=settings.size.max_bytes, declared_bytes=virtual_bytes)
    room = stack.enter_context(store.reserve(image.project_id))
    room.expect(virtual_bytes)
    async with store.blob_workplace(image.sha256 or "", f"{export_id}.outbound") as place:
        job = Job(
            source=Path(place.source),
            target=Path(place.target),
            disk_format=image.disk_format or "",
            target_format=wanted,
            virtual_bytes=virtual_bytes,
            walls=await context.sandbox.find(),
        )
        await convert_file(job)
        staged = await store.take_result(place)
    stack.push_async_callback(store.discard, staged)
    return staged


async def _judge(context: Context, staged: Staged, wanted: str) -> dict[str, str]:
    """Read the result through the guards and the digest, claimed as what it was to become."""
    settings = context.current.settings
    claims = Submission(url="", max_bytes=settings.size.max_bytes, disk_format=wanted)
    chain = Chain(GuardContext(purpose=Purpose.CONVERT, settings=settings, submission=claims))
    return await read_back(context.store, staged, chain, ["sha256"], context.worker_pool)
