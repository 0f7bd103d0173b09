"""Public images, offered as a catalogue that others pull from."""

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Annotated

from msgspec import Meta

from fetcher.settings.base import Mistake, Seconds, Section, printed, unreadable


class Publish(Section, frozen=True, kw_only=True):
    """The things that strangers may fetch: public images, and lists of them."""

    enabled: bool
    max_images: Annotated[int, Meta(ge=1, le=20_000)]
    cache_seconds: Seconds
    machines: bool
    sign_key: str

    def mistakes(self) -> Iterator[Mistake]:
        """Find a key that nobody could sign with."""
        if not self.sign_key:
            return
        yield from unreadable("publish.sign_key", [self.sign_key])
        if find_spec("pysequoia") is None:
            expected = "nothing without the package pysequoia; in the checkout: make setup EXTRAS=sign"
            yield Mistake(key="publish.sign_key", value=printed(self.sign_key), expected=expected)
