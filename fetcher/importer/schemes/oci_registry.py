"""One repository of a registry: its manifests, and the beginnings of its blobs."""

from fetcher.guards.request.oci import check_manifest
from fetcher.importer.schemes.registry_token import RegistryDialect, read_small
from fetcher.importer.schemes.scheme import Asked
from fetcher.parsers.oci_manifests import Descriptor
from fetcher.transport import SourceRequest


class Registry:
    """Asks for small documents of one repository.

    Args:
        base: Its URL, up to the repository's name.
        headers: Of the submission, without its login.
        dialect: Has that login.
    """

    def __init__(self, asked: Asked, base: str, headers: dict[str, str], dialect: RegistryDialect) -> None:
        self.asked = asked
        self._base = base
        self._headers = headers
        self._dialect = dialect

    async def manifest(self, name: str, accept: str) -> bytes:
        """Return a manifest by its tag or digest.

        Raises:
            RegistryUnusable: There is none, or it is too large.
            Failure: As from the gate.
        """
        return await self._document(f"manifests/{name}", accept)

    async def referrers(self, digest: str, accept: str) -> bytes:
        """Return the list of what refers to a manifest.

        Raises:
            Failure: As from the gate; SourceStatus where the registry keeps no such lists.
        """
        return await self._document(f"referrers/{digest}", accept)

    async def blob(self, blob: Descriptor, most: int) -> bytes:
        """Return how a blob begins: at most one byte more than asked for.

        Raises:
            Failure: As from the gate.
        """
        request = self._request(f"blobs/{blob.digest}", self._headers)
        return await read_small(self.asked, request, min(blob.size, most))

    async def _document(self, path: str, accept: str) -> bytes:
        given = {key: value for key, value in self._headers.items() if key.lower() != "accept"}
        settings = self.asked.settings
        request = self._request(path, given | {"Accept": accept})
        body = await read_small(self.asked, request, settings.oci.max_manifest_bytes)
        check_manifest(len(body), 0, settings)
        return body

    def _request(self, path: str, headers: dict[str, str]) -> SourceRequest:
        return SourceRequest(
            url=self.asked.urls.check(f"{self._base}/{path}"),
            headers=headers,
            project=self.asked.project,
            ca_pem=self.asked.submission.ca_pem,
            dialect=self._dialect,
            client=self.asked.secrets.access.client,
        )
