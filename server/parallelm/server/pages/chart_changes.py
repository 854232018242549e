"""What is new in the charts of a page, in one answer: ends of lines, or that a chart is to be drawn anew.

A page asks when it is told of new statistics, with the position that its charts show (``live/changes.py``). An end begins with
the bucket of the earliest report that has arrived since, so that late ones find their place too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from typing import Annotated, Any, Final
from urllib.parse import parse_qs, unquote

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from parallelm.schemas.well_known import PREDICTION_HISTOGRAM
from parallelm.server.access.dependencies import require
from parallelm.server.charts.drawing import wall_ms
from parallelm.server.charts.lines import newer_points
from parallelm.server.charts.packing import compact, packed
from parallelm.server.context import context_of
from parallelm.server.pages.health import NAMES
from parallelm.server.pages.statistic_charts import Zone
from parallelm.warehouse.queries.changes import latest_position, new_reports

ROUTER: Final = APIRouter(dependencies=[Depends(require("mlapps.read"))])
_MOST_CHARTS: Final = 200
_MOST_NAMES: Final = 100
_LONGEST_MS: Final = 3_600_000
"""Charts that are older are drawn anew: what has arrived since may be everything."""
_CLOCK_CHANGE_MS: Final = 3 * 3_600_000
"""Clocks are put back by less than this."""

Asked = Mapping[str, list[str]]
"""Query of a chart's address."""
SHOWS: Final[Mapping[str, Callable[[Asked], Collection[str]]]] = {
    "numbers.json": lambda asked: asked.get("name", ()),
    "report.json": lambda asked: asked.get("name", ()),
    "feature.json": lambda _: NAMES.histograms,
    "scores.json": lambda _: NAMES.scores,
    "canary.json": lambda _: (PREDICTION_HISTOGRAM,),
}
"""Names of the statistics in a chart; others say them themselves, or may show each."""


_MOST_MS: Final = 10**14
Millis = Annotated[int, Field(ge=-_MOST_MS, le=_MOST_MS)]


class Buckets(BaseModel):
    """What ``Drawing.newer`` said of the lines of a chart."""

    start_ms: Millis
    width_ms: Annotated[int, Field(ge=1, le=_MOST_MS)]
    lines: dict[str, bool] = Field(max_length=100)


class Drawn(BaseModel):
    """A chart of the page."""

    url: Annotated[str, Field(max_length=8_000)]
    points: Annotated[int, Field(ge=10, le=2_000)] = 1_000
    newer: Buckets | None = None
    shows: Annotated[list[Annotated[str, Field(max_length=1_000)]], Field(max_length=_MOST_NAMES)] | None = (
        None
    )
    """What ``Drawing.shows`` said."""


class DrawnCharts(BaseModel):
    """Those of a page that somebody sees."""

    since_ms: Millis
    charts: Annotated[list[Drawn], Field(max_length=_MOST_CHARTS)]


@ROUTER.post("/charts/{mlapp_id}/changes.json")
def changes(request: Request, mlapp_id: str, drawn: DrawnCharts, zone: Zone) -> Response:
    """For each chart null (nothing new), ``{"again": true}``, or the ends of its lines."""
    asked = [_asked(each.url) for each in drawn.charts]
    shows = [
        SHOWS[route](query) if route in SHOWS else chart.shows
        for chart, (route, query) in zip(drawn.charts, asked, strict=True)
    ]
    names = {name for each in shows for name in each or ()}
    settings = context_of(request).settings
    if drawn.since_ms < time.time_ns() // 1_000_000 - _LONGEST_MS:
        again = [{"again": True}] * len(asked)
        return packed(request, compact({"position_ms": latest_position(settings), "charts": again}))
    found = new_reports(settings, mlapp_id, names, drawn.since_ms)
    answers: list[Any] = []
    for chart, (route, query), own in zip(drawn.charts, asked, shows, strict=True):
        first_ms = [found.first_ms[name] for name in own or () if name in found.first_ms]
        if own is not None and not first_ms:
            answers.append(None)
        elif route == "numbers.json" and chart.newer:
            answers.append(_ends(request, mlapp_id, query, chart, min(first_ms), zone))
        else:
            answers.append({"again": True})
    return packed(request, compact({"position_ms": found.until_ms, "charts": answers}))


def _asked(url: str) -> tuple[str, Asked]:
    """Last part of the path of an address, and its query."""
    path, _, query = url.partition("?")
    return unquote(path.rpartition("/")[2]), parse_qs(query)


def _ends(
    request: Request, mlapp_id: str, asked: Asked, chart: Drawn, changed_ms: int, zone: str
) -> dict[str, Any]:
    from parallelm.warehouse.queries import newer_lines

    def one(name: str) -> str | None:
        return next(iter(asked.get(name, ())), None)

    buckets = chart.newer
    again = {"again": True}
    if buckets is None:
        return again
    room_ms = max(1, chart.points - 1) * buckets.width_ms
    found = newer_lines(
        context_of(request).settings,
        asked["name"][0],
        mlapp_id=mlapp_id,
        node_id=one("node") or "",
        agent_id=one("agent"),
        model_id=one("model"),
        start_ms=buckets.start_ms,
        width_ms=buckets.width_ms,
        changed_ms=changed_ms,
        room_ms=room_ms,
    )
    if found.start_ms is None or found.end_ms is None or found.end_ms - buckets.start_ms > room_ms:
        return again
    points = newer_points(found.lines, buckets.lines, zone)
    before, start, end = wall_ms((found.start_ms - _CLOCK_CHANGE_MS, found.start_ms, found.end_ms), zone)
    is_clock_change = (
        len({start - before - _CLOCK_CHANGE_MS, end - start - (found.end_ms - found.start_ms), 0}) > 1
    )
    if points is None or is_clock_change:
        return again
    return {"from": start, "end": end, "lines": points}
