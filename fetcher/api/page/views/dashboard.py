"""The dashboard: what the service does, why, and at what cost."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from fetcher.api.page.render import page
from fetcher.api.page.session import Visitor
from fetcher.api.page.shown import see_other, shown
from fetcher.api.page.views import chart
from fetcher.api.services import services_of
from fetcher.api.submit.watch import Watch
from fetcher.errors import Forbidden
from fetcher.index.values import Ending

DAY_HOURS = 24
SHOWN_CODES = 12


class CodeRow(msgspec.Struct, frozen=True, kw_only=True):
    """The number of imports that ended in one code.

    Args:
        bars: For each hour, from the earliest: x, y, height and words of its bar.
    """

    code: str
    count: int
    bars: tuple[tuple[int, float, float, str], ...]


@shown
async def dashboard(request: Request, visitor: Visitor) -> Response:
    """`GET /page/dashboard`: queue, disk, use, refusals, origins."""
    if not visitor.actor.is_admin:
        raise Forbidden(reason="the dashboard is for admins")
    services = services_of(request)
    statistics = services.index.statistics
    now = datetime.now(UTC)
    since = now - timedelta(hours=DAY_HOURS - 1)
    watch: Watch = request.app.state.watch
    settings = services.current.settings
    endings = await statistics.endings(_hour(since), by_hour=True)
    return page(
        "dashboard.html",
        visitor,
        counts=services.importer.counts(),
        states=await services.index.imports.counts(),
        caps=settings.imports,
        disk=services.store.space(),
        totals=await statistics.totals(),
        usage=[(row, *settings.quota.of(row.project_id)) for row in await statistics.usage()],
        scrub_days=settings.maintenance.scrub_days,
        codes=code_rows(endings, now),
        most=max((ending.count for ending in endings), default=0),
        origins=await statistics.origins(limit=10),
        running=sorted(services.importer.running(), key=lambda record: record.bytes_per_second or 0.0)[:10],
        rate=sum(record.bytes_per_second or 0.0 for record in services.importer.running()),
        chart=chart.draw(watch.history()),
        folder=services.store.place,
        head=await services.index.audit.head(),
        hosts=await services.engine.hosts(),
    )


@shown
async def moved(_request: Request, _visitor: Visitor) -> Response:
    """`GET /page/desk`: where the dashboard was; bookmarks lead on."""
    return see_other("/page/dashboard")


def _hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


def code_rows(endings: Sequence[Ending], now: datetime) -> list[CodeRow]:
    """Bars for each code over the last day, the most frequent code first."""
    hours = [
        (_hour(now) - timedelta(hours=back)).strftime("%Y-%m-%dT%H") for back in reversed(range(DAY_HOURS))
    ]
    totals: Counter[str] = Counter()
    at: dict[tuple[str, str], int] = {}
    for ending in endings:
        totals[ending.code] += ending.count
        at[ending.code, ending.at] = ending.count
    most = max(at.values(), default=0) or 1  # One scale for all, so that rows can be compared.
    return [
        CodeRow(code=code, count=count, bars=_bars([(hour, at.get((code, hour), 0)) for hour in hours], most))
        for code, count in totals.most_common(SHOWN_CODES)
    ]


def _bars(counts: Sequence[tuple[str, int]], most: int) -> tuple[tuple[int, float, float, str], ...]:
    bars = []
    for number, (hour, count) in enumerate(counts):
        height = round(count / most * 22, 1) if count else 0.0
        bars.append((number * 8, 24 - height, height, f"{count} at {hour[-2:]}:00 UTC"))
    return tuple(bars)
