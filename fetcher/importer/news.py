"""Wakes those who follow imports that do not run: nobody has to ask the index again and again."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class News:
    """Events by import."""

    def __init__(self) -> None:
        self._subscribers: dict[str, set[asyncio.Event]] = {}

    @contextmanager
    def follow(self, import_id: str) -> Iterator[asyncio.Event]:
        """Give an event that is set whenever there is news of an import."""
        event = asyncio.Event()
        self._subscribers.setdefault(import_id, set()).add(event)
        try:
            yield event
        finally:
            subscribers = self._subscribers[import_id]
            subscribers.discard(event)
            if not subscribers:
                del self._subscribers[import_id]

    def notify(self, import_id: str) -> None:
        """Wake everybody who follows an import."""
        for event in self._subscribers.get(import_id, ()):
            event.set()

    def notify_all(self) -> None:
        """Wake everybody."""
        for import_id in self._subscribers:
            self.notify(import_id)
