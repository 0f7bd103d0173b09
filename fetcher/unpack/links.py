"""Links in an archive: other names of files, which nothing is ever read through."""

from collections.abc import Iterable
from posixpath import normpath

from fetcher.errors import UnpackFailed
from fetcher.unpack.values import Layer

HINT = "Make the archive anew with the disk image only, or unpack it and submit the disk image."


class Links:
    """The links of one archive.

    Args:
        layer: For messages.
    """

    def __init__(self, layer: Layer) -> None:
        self._layer = layer
        self._names: set[str] = set()

    def __bool__(self) -> bool:
        """Return whether there is one."""
        return bool(self._names)

    def add(self, name: str, target: str, *, is_hard: bool) -> str:
        """Take a link, and return the place that it leads to.

        Args:
            name: Of the link, from the folder of the archive.
            target: From the folder of the archive for a hard link, from its own folder otherwise.
            is_hard: Which of the two it is.

        Raises:
            UnpackFailed: It leads out of the archive.
        """
        self._names.add(name)
        place = normpath(("" if is_hard else name[: name.rfind("/") + 1]) + (target or "/"))
        if place.startswith(("/", "..")) or "\\" in target:
            raise self._failed("member-type", "a link leads out of the archive")
        return place

    def check_below(self, names: Iterable[str]) -> None:
        """Refuse an archive with a member in a folder that is a link: readers differ in where it lies.

        Raises:
            UnpackFailed: It has one.
        """
        for name in names if self._names else ():
            folder = name
            while folder := folder[: max(folder.rfind("/"), 0)]:
                if folder in self._names:
                    raise self._failed("member-name", "a member lies in a folder that is a link")

    def _failed(self, rule: str, reason: str) -> UnpackFailed:
        return UnpackFailed(packing=self._layer.packing, rule=rule, reason=reason, hint=HINT)
