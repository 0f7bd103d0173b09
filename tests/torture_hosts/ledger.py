"""The requests that the origin answered, one by one: they tell what was pulled again, and why."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from tests.lab.origin import Behaviour, Exchange


class Ledger:
    """Notes each request with its range and how many bytes of a body were sent.

    Args:
        file: One line a request, as it ends.

    Attributes:
        sent_bytes: By path.
        asked: How many requests came for a path, and how many of them for the rest only.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self.sent_bytes: dict[str, int] = {}
        self._began = asyncio.get_running_loop().time()

    def noting(self, routes: Mapping[str, Behaviour]) -> dict[str, Behaviour]:
        """Return the same routes, noted."""
        return {path: self.noted(behaviour) for path, behaviour in routes.items()}

    def noted(self, behaviour: Behaviour) -> Behaviour:
        """Return the same behaviour, noted."""

        async def behave(exchange: Exchange) -> None:
            now = asyncio.get_running_loop().time
            asked, end = now() - self._began, "served"
            try:
                await behaviour(exchange)
            except BaseException as error:
                end = type(error).__name__
                raise
            finally:
                path, wanted = exchange.request.path, exchange.request.header("Range") or "all"
                self.sent_bytes[path] = self.sent_bytes.get(path, 0) + exchange.sent_bytes
                took = now() - self._began - asked
                with self._file.open("a") as file:
                    words = f"{path} {wanted}: {exchange.sent_bytes} bytes in {took:.2f} s, {end}"
                    file.write(f"{asked:8.2f} {words}\n")

        return behave
