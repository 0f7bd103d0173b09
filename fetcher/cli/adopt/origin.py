"""The records of another image service; its bytes are the server's to fetch, never ours."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from fetcher.cli.client import Client, Refused, Unreachable, segment

PAGE_IMAGES = 100
Image = dict[str, Any]


class Origin:
    """An Image API v2 that is only read.

    Args:
        url: Where it is, without `/v2`.
        token: Lets us in there.
    """

    def __init__(self, url: str, token: str | None) -> None:
        self._client = Client(url, token)
        self.url = self._client.server

    def images(self, project: str | None) -> list[Image]:
        """Return the images of a project, or of all, hidden ones too; the oldest first."""
        found: dict[str, Image] = {}
        for hidden in ("false", "true"):
            for image in self._pages(visibility="all", os_hidden=hidden, owner=project, limit=PAGE_IMAGES):
                found[image["id"]] = image
        return sorted(found.values(), key=lambda image: (str(image.get("created_at")), image["id"]))

    def image(self, image_id: str) -> Image | None:
        """Return one image; None where there is none."""
        return find(self, f"/v2/images/{segment(image_id)}")

    def members(self, image: Image) -> dict[str, str]:
        """Return the projects that an image is shared with, and what each answered."""
        if image.get("visibility") != "shared":
            return {}
        document = self.get(f"/v2/images/{segment(image['id'])}/members")
        return {member["member_id"]: member["status"] for member in document["members"]}

    def get(self, path: str, **query: Any) -> Any:
        """Read a document there.

        Raises:
            Refused, Unreachable: As for every call.
        """
        try:
            return self._client.get(path, **query)
        except Unreachable as error:
            raise Unreachable(f"No Image API v2 answers at {self.url}.") from error

    def _pages(self, **query: Any) -> Iterator[Image]:
        document = self.get("/v2/images", **query)
        asked = {""}
        while True:
            yield from document["images"]
            following = _path(document.get("next") or "")
            if following in asked:  # A service that goes round in circles would never let us go.
                return
            asked.add(following)
            document = self.get(following)


def _path(link: str) -> str:
    """Return where the next page is, seen from the service's own address."""
    parts = urlsplit(link)
    where = parts.path.find("/v2/")
    return f"{parts.path[where:]}?{parts.query}" if where >= 0 else ""


def find(side: Origin | Client, path: str) -> Image | None:
    """Return a record, or None where there is none.

    Raises:
        Refused, Unreachable: As for every call.
    """
    try:
        return dict(side.get(path))
    except Refused as error:
        if error.status == 404:
            return None
        raise
