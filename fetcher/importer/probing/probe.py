"""A look at a source before an import: what it is, what would refuse it, which checksum file is beside it."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec

from fetcher.errors import Failure, SourceTooSlow
from fetcher.guards import Chain, GuardContext, Purpose
from fetcher.guards.request.url import CheckedUrls
from fetcher.guards.stream.checksum import check_required
from fetcher.guards.stream.size import check_declared, check_length
from fetcher.importer.download.sources import Sources
from fetcher.importer.probing.beside import Beside, find_beside
from fetcher.importer.records.requests import sums_request
from fetcher.importer.records.verdicts import verdict_of
from fetcher.importer.schemes.registry import find_way
from fetcher.importer.schemes.scheme import Asked, Way
from fetcher.importer.stages.expected_digests import ChecksumFile, expects_digest
from fetcher.index.values import Secrets
from fetcher.model import Digest, FormatVerdict, Hop, Submission, Value
from fetcher.transport import Gate, Peek, SourceRequest, peek

# Which guard says what: as in GET /limits.
GUARDS = {
    "address-forbidden": "address",
    "bad-redirect": "redirects",
    "registry-unusable": "oci",
    "bad-response": "response",
    "checksum-file-unusable": "checksum",
    "checksum-required": "checksum",
    "empty": "format",
    "encoding-forbidden": "response",
    "length-unknown": "size",
    "source-status": "response",
    "source-too-slow": "pace",
    "too-many-bytes": "size",
    "too-many-redirects": "redirects",
    "url-invalid": "url",
}


class Refusal(Value, frozen=True, kw_only=True):
    """A failure that an import would end by.

    Args:
        guard: Which one would refuse it; empty where the source itself lets it down.
    """

    guard: str
    code: str
    title: str
    advice: str
    fields: dict[str, Any]


class Probed(Value, frozen=True, kw_only=True):
    """The findings of a look, as the submitter of an import would see it.

    Args:
        hops: All requests, redacted.
        name: What the image would be called.
        declared_bytes: Of the whole, where the source says so.
        is_resumable: A broken download could go on where it ended.
        coding: The content coding that would be undone.
        format: What the first 64 KiB are.
        digest: What a named checksum file says of the image.
        refusals: All that an import would be refused by, as far as a look can show.
        beside: The checksum file that lies beside it and lists it; offered, never assumed.
    """

    hops: tuple[Hop, ...] = ()
    url: str | None = None
    name: str | None = None
    declared_bytes: int | None = None
    is_resumable: bool | None = None
    coding: str | None = None
    format: FormatVerdict | None = None
    digest: Digest | None = None
    refusals: tuple[Refusal, ...] = ()
    beside: Beside | None = None


class Probe:
    """One look, as an import of the same submission would ask."""

    def __init__(self, gate: Gate, submission: Submission, secrets: Secrets, urls: CheckedUrls) -> None:
        self._gate = gate
        self._submission = submission
        self._secrets = secrets
        self._urls = urls
        self._settings = urls.settings
        self._refusals: list[Refusal] = []
        self._hops: list[Hop] = []
        self._way: Way | None = None

    async def look(self, project_id: str) -> Probed:
        """Ask the source, and hang up after its first bytes."""
        seconds = self._settings.imports.max_probe_seconds
        try:
            async with asyncio.timeout(seconds):
                request = await self._request(project_id)
                found = await peek(self._gate, request, self._settings, self._hops.append)
                return await self._judge(found, project_id)
        except TimeoutError:
            self._refuse(SourceTooSlow(reason=f"a look at it took longer than {seconds:g} seconds"))
        except Failure as failure:
            self._refuse(failure)
        return Probed(hops=tuple(self._hops), refusals=tuple(self._refusals))

    async def _request(self, project_id: str) -> SourceRequest:
        """Find out where the bytes are, and ask for them as an import would."""
        asked = Asked(
            gate=self._gate,
            secrets=self._secrets,
            urls=self._urls,
            submission=self._submission,
            project=project_id,
            settings=self._settings,
        )
        self._way = await find_way(asked)
        self._secrets = self._way.secrets
        is_expected = expects_digest(self._submission, self._settings)
        sources = Sources(self._secrets, self._urls, project_id, expects_digest=lambda: is_expected)
        sources.ca_pem = self._submission.ca_pem
        sources.dialect = self._way.dialect
        return sources.request(0, None)

    async def _judge(self, found: Peek, project_id: str) -> Probed:
        settings, submission = self._settings, self._submission
        promised = found.digests or self._secrets.checksum_url or (self._way.digest if self._way else None)
        is_proven = expects_digest(submission, settings) or bool(promised)
        if self._secrets.checksum_url is None:
            self._check(lambda: check_required(submission.checksum, settings))
        self._check(lambda: check_declared(found.declared_bytes, max_bytes=submission.max_bytes))
        self._check(
            lambda: check_length(is_verified=found.length_verified, is_proven=is_proven, settings=settings)
        )
        form = self._format(found)
        digest = await self._listed(found, project_id)
        beside = None
        if self._secrets.checksum_url is None and (self._way is None or self._way.has_neighbours):
            ask = SourceRequest(
                url=self._urls.check(self._secrets.url),
                headers=self._secrets.headers,
                project=project_id,
                ca_pem=submission.ca_pem,
                dialect=self._way.dialect if self._way else None,
                client=self._secrets.access.client,
            )
            with suppress(Failure, TimeoutError):
                beside = await find_beside(self._gate, ask, found, settings)
        return Probed(
            hops=found.hops,
            url=found.url,
            name=submission.name or (self._way.name if self._way else None) or found.name,
            declared_bytes=found.declared_bytes,
            is_resumable=found.is_resumable,
            coding=found.coding,
            format=form,
            digest=digest or (self._way.digest if self._way else None),
            refusals=tuple(self._refusals),
            beside=beside,
        )

    def _format(self, found: Peek) -> FormatVerdict | None:
        chain = self._feed(found)
        is_undecided = chain.format is None and not found.is_whole and self._submission.disk_format != "vhd"
        if is_undecided and not self._refusals:
            # No format shows in its head, and only that of a fixed VHD could at its end: it is raw.
            chain = self._feed(msgspec.structs.replace(found, is_whole=True))
        return chain.format

    def _feed(self, found: Peek) -> Chain:
        context = GuardContext(purpose=Purpose.INSPECT, settings=self._settings, submission=self._submission)
        chain = Chain(context)

        def judge() -> None:
            for guard in chain.guards:
                guard.feed(found.head)
            for guard in chain.guards if found.is_whole else ():
                guard.finish()

        self._check(judge, guard="format")
        return chain

    async def _listed(self, found: Peek, project_id: str) -> Digest | None:
        if self._secrets.checksum_url is None:
            return None
        dialect = self._way.dialect if self._way else None
        request = sums_request(self._secrets, self._urls, project_id, self._submission.ca_pem, dialect)
        try:
            file = await ChecksumFile.fetch(self._gate, request, self._settings)
            return file.settle(found.hops, found.headers.get("content-disposition")).digest
        except Failure as failure:
            self._refuse(failure, guard="checksum")
        return None

    def _check(self, step: Callable[[], None], guard: str = "") -> None:
        try:
            step()
        except Failure as failure:
            self._refuse(failure, guard)

    def _refuse(self, failure: Failure, guard: str = "") -> None:
        verdict = verdict_of(failure)
        refusal = Refusal(
            guard=guard or GUARDS.get(verdict.code, ""),
            code=verdict.code,
            title=verdict.title,
            advice=verdict.advice,
            fields=verdict.fields,
        )
        if refusal not in self._refusals:
            self._refusals.append(refusal)
