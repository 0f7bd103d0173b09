"""Statistics for the operator, and lists for people."""

from fetcher.index.portable import statistics
from fetcher.index.postgres.image_records.listings import list_images, list_imports
from fetcher.index.postgres.portable import PortableConnection
from fetcher.index.postgres.session import Connection
from fetcher.index.values import ImportPage, ListPage, ListQuery
from fetcher.model import Actor


class Statistics(statistics.Statistics):
    """Questions over many rows; each is one read beside the writer."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(PortableConnection(connection))
        self._lists = connection

    async def list_images(self, actor: Actor, query: ListQuery) -> ListPage:
        return await self._lists.read(list_images, actor, query)

    async def list_imports(self, actor: Actor, query: ListQuery) -> ImportPage:
        return await self._lists.read(list_imports, actor, query)
