"""The section of the guard `quota`."""

from typing import Annotated, Literal

from msgspec import Meta

from fetcher.settings.base import Count, Positive, Section

UNLIMITED = 2**53  # Of a quota that does not bind; exact in the numbers of every client.


class ProjectQuota(Section, frozen=True, kw_only=True):
    """The quota of one project, where it is not that of all."""

    project: Annotated[str, Meta(min_length=1, max_length=255)]
    max_images: Count
    max_bytes: Count
    max_uploading: Count | None = None
    max_staged_bytes: Count | None = None


class Quota(Section, frozen=True, kw_only=True):
    """The quota of a project."""

    source: Literal["config", "keystone"]
    max_images: Count
    max_bytes: Count
    max_uploading: Count
    max_staged_bytes: Count
    max_text_bytes: Count
    max_records: Positive
    max_record_bytes: Positive
    projects: list[ProjectQuota]

    def all_of(self, project_id: str) -> tuple[int, int, int, int]:
        """Return images, bytes, images in the making, and staged bytes that a project may hold."""
        for entry in self.projects:
            if entry.project == project_id:
                uploading = self.max_uploading if entry.max_uploading is None else entry.max_uploading
                staged = self.max_staged_bytes if entry.max_staged_bytes is None else entry.max_staged_bytes
                return entry.max_images, entry.max_bytes, uploading, staged
        return self.max_images, self.max_bytes, self.max_uploading, self.max_staged_bytes

    def of(self, project_id: str) -> tuple[int, int]:
        """Return how many images and how many bytes a project may hold."""
        return self.all_of(project_id)[:2]
