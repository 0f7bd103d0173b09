"""`oci://host/repository:tag`: a disk in a registry of containers, as a containerDisk or as an artifact.

The manifest says which blob is the disk and what its digest is; the digest is a promise like any other. A
manifest that was named by its own digest is compared with it, so that the promise is the submitter's.
"""

import asyncio
import hashlib
import re
from collections.abc import Sequence

import msgspec

from fetcher.errors import InvalidRequest, InvalidUrl, RegistryUnusable, SourceTooSlow, TooManyBytes
from fetcher.guards.request.oci import check_manifest, check_registry
from fetcher.guards.request.publishers import SIGNED_MANIFEST
from fetcher.guards.request.url import CheckedUrls
from fetcher.importer.schemes.oci_registry import Registry
from fetcher.importer.schemes.oci_signatures import find_signer, needs_signature
from fetcher.importer.schemes.pasted import stripped, tidied
from fetcher.importer.schemes.registry_token import RegistryDialect
from fetcher.importer.schemes.scheme import Asked, SourceScheme, Way
from fetcher.model import Digest, Submission
from fetcher.parsers.oci_layers import PEEK_BYTES, files_of, visible_disks
from fetcher.parsers.oci_manifests import (
    ACCEPT,
    Descriptor,
    archives_of,
    choose_archive,
    choose_image,
    choose_layer,
    parse_digest,
    parse_manifest,
)

_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_URL = re.compile(
    rf"oci://(?P<login>[^@/]*@)?(?P<host>[^/@]+)/(?P<repository>{_PART}(?:/{_PART})*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?(?:@(?P<digest>sha(?:256|512):[0-9a-f]+))?",
    re.IGNORECASE,
)
_MANIFEST = re.compile(r"(?P<base>https?://[^/]+/v2/(?P<repository>[^?#]+))/manifests/(?P<name>[^/?#]+)")


def take(submission: Submission, urls: CheckedUrls) -> Submission:
    """Ask the registry for the manifest; a login in the URL becomes a secret header.

    Raises:
        InvalidUrl: It names no image, or neither a tag nor a digest: nothing is assumed.
        InvalidRequest: It has further URLs, or a login that would go over http.
    """
    text = stripped(submission.url)
    match = _URL.fullmatch(text)
    if match is None or match["repository"] != match["repository"].lower():
        raise InvalidUrl(rule="oci", reason="it is not written oci://HOST/REPOSITORY:TAG")
    name = match["digest"] or match["tag"]
    if name is None:
        raise InvalidUrl(rule="oci", reason="it names neither a tag nor a digest, and none is assumed")
    if match["digest"] and parse_digest(match["digest"]) is None:
        raise InvalidUrl(rule="oci", reason="its digest is not sha256 or sha512 in hexadecimal")
    if submission.mirrors:
        raise InvalidRequest(field="mirrors", reason="an oci:// URL has no mirrors; name another registry")
    scheme = check_registry(match["host"].partition(":")[0].lower(), urls.settings)
    url = f"{scheme}://{match['login'] or ''}{match['host']}/v2/{match['repository']}/manifests/{name}"
    located = tidied(msgspec.structs.replace(submission, url=url), urls)
    if scheme == "http" and any(header.lower() == "authorization" for header in located.headers):
        raise InvalidRequest(field="headers", reason="no login is sent to a registry that is asked by http")
    if needs_signature(located, urls.settings):  # Promised here, found in `find` or refused there.
        located = msgspec.structs.replace(located, checksum_source=SIGNED_MANIFEST)
    return located


async def find(asked: Asked) -> Way:
    """Find the blob that is the disk.

    Raises:
        RegistryUnusable: There is none, or a manifest is not the one that was named.
        TooManyBytes: The manifest says that the disk is larger than allowed.
        Failure: As from the gate.
    """
    match = _MANIFEST.fullmatch(asked.secrets.url)
    assert match is not None
    login = next((v for k, v in asked.secrets.headers.items() if k.lower() == "authorization"), None)
    headers = {k: v for k, v in asked.secrets.headers.items() if k.lower() != "authorization"}
    dialect = RegistryDialect(asked, match["repository"], login)
    seconds = asked.settings.pace.chain_seconds
    try:
        async with asyncio.timeout(seconds):
            registry = Registry(asked, match["base"], headers, dialect)
            manifests: list[bytes] = []
            layer = await _layer(registry, match["name"], manifests)
            signer = await find_signer(registry, manifests)
    except TimeoutError as error:
        reason = f"its manifests did not arrive within {seconds:g} seconds"
        raise SourceTooSlow(reason=reason, limit_seconds=seconds) from error
    if layer.size > asked.submission.max_bytes:
        raise TooManyBytes(max_bytes=asked.submission.max_bytes, declared_bytes=layer.size)
    secrets = msgspec.structs.replace(
        asked.secrets, url=f"{match['base']}/blobs/{layer.digest}", headers=headers
    )
    return Way(
        secrets=secrets,
        dialect=dialect,
        digest=layer.digest,
        digest_source=SIGNED_MANIFEST
        if signer
        else "submitter"
        if parse_digest(match["name"])
        else "manifest",
        signer=signer,
        name=layer.title or match["repository"].rpartition("/")[2],
        has_neighbours=False,
    )


async def _layer(registry: Registry, name: str, manifests: list[bytes]) -> Descriptor:
    """Go from the name to the manifest, through an index where there is one, and choose the disk.

    Args:
        manifests: Gets each manifest on the way.
    """
    submission, settings = registry.asked.submission, registry.asked.settings
    for is_last in (False, True):
        body = await registry.manifest(name, ACCEPT)
        _check_digest(body, parse_digest(name))
        manifests.append(body)
        manifest = parse_manifest(body)
        check_manifest(len(body), max(len(manifest.layers), len(manifest.images)), settings)
        if not manifest.is_index:
            archives = archives_of(manifest.layers)
            if 1 < len(archives) == len(manifest.layers):
                disks = await _disks(registry, archives)
                return choose_archive(archives, disks, submission.disk)
            return choose_layer(manifest.layers, submission.disk)
        if is_last:
            break
        name = str(
            choose_image(
                manifest.images,
                _named_architecture(submission) or settings.oci.architecture,
                submission.disk_format,
            ).digest
        )
    raise RegistryUnusable(reason="its index leads to another index")


async def _disks(registry: Registry, archives: Sequence[Descriptor]) -> dict[str, int]:
    """Look at how each layer begins: which disks are seen when they lie on each other."""
    listed: list[list[str]] = []
    for layer in archives:
        beginning = await registry.blob(layer, PEEK_BYTES)
        listed.append(await asyncio.to_thread(files_of, beginning))
    return visible_disks(listed)


def _named_architecture(submission: Submission) -> str | None:
    return submission.properties.get("hw_architecture") or submission.properties.get("architecture")


def _check_digest(body: bytes, expected: Digest | None) -> None:
    if expected is not None and hashlib.new(expected.algorithm, body).hexdigest() != expected.value:
        raise RegistryUnusable(rule="digest", reason="the registry sent another manifest than the one named")


SCHEME = SourceScheme(
    names=("oci",),
    form="oci://HOST/REPOSITORY:TAG",
    is_enabled=lambda settings: settings.oci.enabled,
    take=take,
    find=find,
    variant=lambda submission: _named_architecture(submission) or "",
)
