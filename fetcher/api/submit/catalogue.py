"""Images by name: what the operator's catalogues have."""

from datetime import date, datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fetcher.api.json_answers import JsonAnswer
from fetcher.api.services import services_of
from fetcher.catalogues import CatalogueState
from fetcher.errors import InvalidRequest
from fetcher.parsers.catalogues import Entry, has_ended, normal_arch

MAX_WORDS = 8
MAX_QUERY = 256


class CatalogueAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One catalogue.

    Args:
        images: How many it has, all versions.
        left_out: How many more were left out, because what it says of them is not sound.
        signers: The fingerprints of the certificates that signed it.
        trouble: Why it could not be fetched the last time; null where it could.
    """

    name: str
    kind: str
    images: int
    left_out: int
    signers: list[str]
    fetched_at: datetime | None
    trouble: str | None


class CatalogueImage(msgspec.Struct, frozen=True, kw_only=True):
    """The newest version of one image for one architecture.

    Args:
        reference: Asks for exactly this version.
        age_days: Since its publisher made it.
        has_ended: Its publisher looks after it no more.
    """

    catalogue: str
    name: str
    reference: str
    names: list[str]
    title: str
    version: str
    serial: str
    arch: str
    disk_format: str | None
    size: int | None
    digest: str | None
    released: date | None
    age_days: int | None
    end_of_life: date | None
    has_ended: bool
    login: str | None
    min_disk: int
    min_ram: int


class CatalogueListing(msgspec.Struct, frozen=True, kw_only=True):
    """The results of a search."""

    catalogues: list[CatalogueAnswer]
    images: list[CatalogueImage]
    more: Annotated[int, Meta(description="How many further images fit the search.")]


async def listing(request: Request) -> Response:
    """`GET /catalogue`: find images by name; each with its architecture, version, age and end of life."""
    services = services_of(request)
    await services.identify(request)
    query = dict(request.query_params)
    words, arch, limit = _asked(query, services.current.settings.server.max_page_items)
    found = await services.catalogues.search(words, arch)
    states = await services.catalogues.states()
    document = CatalogueListing(
        catalogues=[_catalogue(state) for state in states],
        images=[image_view(name, entry) for name, entry in found[:limit]],
        more=max(0, len(found) - limit),
    )
    return JsonAnswer(msgspec.to_builtins(document), headers={"Cache-Control": "no-store"})


def _asked(query: dict[str, str], most: int) -> tuple[list[str], str | None, int]:
    """Return the words, the architecture and how many images are wanted.

    Raises:
        InvalidRequest: The query asks for something else.
    """
    for name in query.keys() - {"q", "arch", "limit"}:
        raise InvalidRequest(field=name, reason=f"no parameter is named {name}; there are q, arch, limit")
    words = query.get("q", "").split()
    if len(words) > MAX_WORDS or len(query.get("q", "")) > MAX_QUERY:
        raise InvalidRequest(field="q", reason=f"q has at most {MAX_WORDS} words, {MAX_QUERY} characters")
    limit = query.get("limit", "100")
    if not limit.isascii() or not limit.isdigit() or not int(limit[:9]) >= 1:
        raise InvalidRequest(field="limit", reason="limit is a whole number from 1")
    arch = query.get("arch")
    return words, normal_arch(arch) if arch else None, min(int(limit[:9]), most)


def _catalogue(state: CatalogueState) -> CatalogueAnswer:
    return CatalogueAnswer(
        name=state.source.name,
        kind=state.source.kind,
        images=len(state.whole.entries),
        left_out=state.whole.left_out,
        signers=state.whole.signers,
        fetched_at=state.whole.fetched_at,
        trouble=state.trouble or None,
    )


def image_view(catalogue: str, entry: Entry) -> CatalogueImage:
    """Show one image."""
    today = date.today()  # noqa: DTZ011 - a publisher's day has no zone
    age: Any = (today - entry.released).days if entry.released else None
    return CatalogueImage(
        catalogue=catalogue,
        name=entry.name,
        reference=entry.reference,
        names=sorted(entry.names),
        title=entry.title,
        version=entry.version,
        serial=entry.serial,
        arch=entry.arch,
        disk_format=entry.disk_format,
        size=entry.size,
        digest=str(entry.digest) if entry.digest else None,
        released=entry.released,
        age_days=None if age is None else max(0, age),
        end_of_life=entry.end_of_life,
        has_ended=has_ended(entry, today),
        login=entry.login,
        min_disk=entry.min_disk,
        min_ram=entry.min_ram,
    )


routes = [Route("/catalogue", listing, methods=["GET"])]
