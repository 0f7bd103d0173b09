"""`oci://host/repository:tag`: the disk as an artifact or as a containerDisk; blobs that are there stay.

Source: OCI Distribution Specification 1.1, "Push".
"""

import re

from fetcher.config import Settings
from fetcher.errors import InvalidRequest, InvalidUrl, ReceiverMismatch, ReceiverRefused
from fetcher.exporter import layouts
from fetcher.exporter.answers import receipt
from fetcher.exporter.calls import Calls, status_of
from fetcher.exporter.reading import Reading
from fetcher.exporter.senders.base import AcceptedReceiver, ReadBackRequest, SendJob
from fetcher.exporter.senders.oci_blobs import Blobs
from fetcher.guards.request.receivers import check_receiver
from fetcher.guards.request.url import CheckedUrls
from fetcher.importer.schemes import oci
from fetcher.importer.schemes.pasted import without_credentials
from fetcher.importer.schemes.registry_token import RegistryDialect
from fetcher.importer.schemes.scheme import Asked
from fetcher.index.values import ExportOptions, ReceiverSecrets, Secrets
from fetcher.model import Submission
from fetcher.parsers.oci_manifests import ACCEPT
from fetcher.transport import CallAnswer, SourceRequest, make_printable

_PLACE = re.compile(r"(?P<base>https?://[^/]+/v2/(?P<repository>[^?#]+))/manifests/(?P<tag>[^/?#]+)")
TAKEN = "the tag is there already and names another image; ask for replace to have it moved"


class RegistrySender:
    """Sends to registries."""

    name = "oci"
    form = "oci://HOST/REPOSITORY:TAG"
    fields = frozenset({"layout"})

    def is_for(self, secrets: ReceiverSecrets) -> bool:
        """Take URLs of registries."""
        return secrets.url.lower().startswith("oci://")

    def take(self, secrets: ReceiverSecrets, _options: ExportOptions, settings: Settings) -> AcceptedReceiver:
        """Find where the manifest goes; a login in the URL becomes a secret."""
        located = oci.take(
            Submission(url=secrets.url, max_bytes=1, headers=secrets.headers), CheckedUrls(settings)
        )
        match = _PLACE.fullmatch(located.url)
        if match is None or ":" in match["tag"]:
            raise InvalidUrl(rule="oci", reason="an image is sent to a tag, not to a digest")
        if any(name.lower() != "authorization" for name in located.headers):
            raise InvalidRequest(
                field="headers", reason="a registry is sent Authorization and no other header"
            )
        check_receiver(located.url, settings)
        taken = ReceiverSecrets(url=located.url, headers=located.headers, access=secrets.access)
        return AcceptedReceiver(secrets=taken, shown=without_credentials(secrets.url))

    async def send(self, job: SendJob) -> dict[str, str]:
        """Send what the registry lacks: the disk, the configuration, and at last the manifest."""
        return await Push(job).run()

    async def to_read(self, job: SendJob) -> ReadBackRequest | str:
        """Compare the manifest behind the tag, then ask for the disk."""
        return await Push(job).to_read()

    async def abort(self, job: SendJob) -> None:
        """Drop an upload that came to nothing; blobs that no manifest names are the registry's to sweep."""
        push = Push(job)
        await Blobs(job, push.calls, push.base).drop()


class Push:
    """One image on its way into a registry."""

    def __init__(self, job: SendJob) -> None:
        match = _PLACE.fullmatch(job.secrets.url)
        assert match is not None
        login = next((v for k, v in job.secrets.headers.items() if k.lower() == "authorization"), None)
        asked = Asked(
            gate=job.gate,
            secrets=Secrets(url=job.secrets.url, headers={}),
            urls=CheckedUrls(job.settings),
            submission=Submission(url=job.secrets.url, max_bytes=1),
            project=job.export.project_id,
            settings=job.settings,
        )
        self._job = job
        self._dialect = RegistryDialect(asked, match["repository"], login, "pull,push")
        self._manifest_url = job.secrets.url
        self.base = match["base"]
        self.calls = Calls(job, self._dialect)
        self._blobs = Blobs(job, self.calls, self.base)

    async def run(self) -> dict[str, str]:
        """Send what is not there."""
        disk, config, manifest = await self._made()
        digest = layouts.digest_of(manifest)
        there = await self._named()
        if there is not None and there.headers.get("docker-content-digest") == digest:
            return receipt(there) | {"found": "equal"}
        if there is not None and not self._job.export.options.replace:
            raise ReceiverRefused(reason=TAKEN, status=412)
        await self._blobs.send_disk(disk)
        await self._blobs.send_small(config)
        return receipt(await self._put(manifest)) | {"docker-content-digest": digest}

    async def to_read(self) -> ReadBackRequest:
        """Compare the manifest behind the tag with ours; return what asks for the disk.

        Raises:
            ReceiverMismatch: The tag names another manifest.
        """
        disk, _config, manifest = await self._made()
        request = SourceRequest(url=self._manifest_url, fixed={"Accept": ACCEPT})
        found = (await self.calls.call(request)).body
        if found != manifest:
            raise _mismatch(layouts.digest_of(manifest), layouts.digest_of(found))
        url = f"{self.base}/blobs/sha256:{disk.sha256}"
        request = SourceRequest(url=url, project=self._job.export.project_id, dialect=self._dialect)
        return ReadBackRequest(request=request, size=disk.size, sha256=disk.sha256)

    async def _made(self) -> tuple[Reading, bytes, bytes]:
        """Return the disk's layer, the configuration and the manifest; the same for the same image."""
        job, image = self._job, self._job.image
        assert image is not None
        title = layouts.file_name(image.name, job.disk_format)
        if job.export.options.layout == "artifact":
            disk = job.reading
            return disk, layouts.EMPTY, layouts.artifact_manifest(_layer(disk), job.disk_format, title)
        disk = await self._in_tar()
        architecture = layouts.architecture_of(image.properties, job.settings.oci.architecture)
        config = layouts.container_config(architecture, f"sha256:{disk.sha256}")
        return disk, config, layouts.container_manifest(_layer(disk), config, title)

    async def _in_tar(self) -> Reading:
        """Return the disk in a tar, whose digest is found once: the registry is asked for it first."""
        before, after = layouts.around_disk(self._job.reading.size)
        known = self._blobs.resume.get("tar")
        disk = await self._job.reading.between(before, after, sha256=known)
        if known is None:
            self._blobs.resume["tar"] = disk.sha256
            await self._blobs.remember(0)
        return disk

    async def _named(self) -> CallAnswer | None:
        """Ask which manifest the tag names."""
        request = SourceRequest(url=self._manifest_url, verb="HEAD", fixed={"Accept": ACCEPT})
        answer = await self.calls.call(request, also=(404,))
        return None if answer.status == 404 else answer

    async def _put(self, manifest: bytes) -> CallAnswer:
        request = SourceRequest(
            url=self._manifest_url, verb="PUT", body=manifest, body_type=layouts.MANIFEST_TYPE
        )
        answer = await self.calls.call(request, also=(400, 404))
        if answer.status in {400, 404}:
            if await self._blobs.distrust():
                reason = "it says that it has a blob, and does not know it in the manifest"
                raise ReceiverRefused(reason=reason, status=answer.status, again=True)
            raise status_of(answer)
        stated = answer.headers.get("docker-content-digest")
        if stated not in (None, layouts.digest_of(manifest)):
            raise _mismatch(layouts.digest_of(manifest), str(stated))
        return answer


def _layer(disk: Reading) -> dict[str, object]:
    return {"digest": f"sha256:{disk.sha256}", "size": disk.size}


def _mismatch(expected: str, actual: str) -> ReceiverMismatch:
    return ReceiverMismatch(what="the manifest's digest", expected=expected, actual=make_printable(actual))
