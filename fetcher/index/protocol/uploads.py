"""Bodies that are sent to the service, and bytes staged for an import, as verbs."""

from typing import Any, Protocol

from fetcher.index.values import Stage
from fetcher.model import Blob, Image, Import


class Uploads(Protocol):
    """Verbs on uploads."""

    async def begin(self, record: Import, status: str) -> None:
        """Write an import that runs already, and give it its queued image.

        Args:
            status: What the image is meanwhile: saving or uploading.

        Raises:
            Conflict: The image does not wait for bytes, or is gone.
        """

    async def stage(self, record: Import, blob: Blob) -> bool:
        """End an upload whose bytes wait for the import call; False when it lost its claim."""

    async def staged(self, image_id: str) -> Stage | None:
        """Return what waits for an image."""

    async def activate(self, record: Import, stage: Stage, image: Image, provenance: dict[str, Any]) -> None:
        """Make an image of its staged bytes, and write the import that did it, all at once.

        Raises:
            Conflict: The stage is not there any more.
        """
