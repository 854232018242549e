"""Data of the charts of statistics, and KPIs, as JSON; and the statistics that are shown as a tree or a page."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from starlette.responses import HTMLResponse, Response

from parallelm.operations.json_values import plain, read_json
from parallelm.schemas.well_known import FEATURE_LABEL
from parallelm.server.access.dependencies import require
from parallelm.server.charts.bars import draw_histograms
from parallelm.server.charts.drawing import nothing
from parallelm.server.charts.lines import Comparison, Window, draw_lines, line_of_points
from parallelm.server.charts.statistics import HEAT_MAP_KIND, draw_heat_maps, draw_report, histogram_of
from parallelm.server.pages.filters import zone_of
from parallelm.server.pages.rendering import render
from parallelm.server.pages.statistics import Chosen
from parallelm.server.pages.time_range import Shown, TimeRange, known_settings, time_range
from parallelm.warehouse.queries import Line

ROUTER: Final = APIRouter(dependencies=[Depends(require("mlapps.read"))])
_MOST_HTML: Final = 2_000_000
_MOST_TREE: Final = 500_000
ISOLATED: Final = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; frame-ancestors 'self'"
"""Of HTML that a component has reported: no script, no request, no form, no way to the page around it."""


def zone_asked(request: Request) -> str:
    """The viewer's time zone."""
    return zone_of(request.cookies.get("zone", "UTC")).key


Zone = Annotated[str, Depends(zone_asked)]
Name = Annotated[str, Query(min_length=1, max_length=1000)]


@ROUTER.get("/charts/{mlapp_id}/numbers.json")
def numbers(
    request: Request,
    mlapp_id: str,
    name: Name,
    shown: Shown,
    chosen: Chosen,
    zone: Zone,
    points: Annotated[int, Query(ge=10, le=2_000)] = 1_000,
    feature: Annotated[str, Query(max_length=1000)] = "",
) -> Response:
    """Every series of a statistic (of ``feature``, where it is named), and beside it those of another model or time; ``points``: what the chart has room for."""
    from parallelm.warehouse.queries import Lines, model_names, statistic_lines

    def lines(model: str, window: TimeRange) -> Lines:
        return statistic_lines(
            known_settings(request),
            name,
            mlapp_id=mlapp_id,
            node_id=chosen.node,
            agent_id=chosen.agent or None,
            model_id=model or None,
            labels={FEATURE_LABEL: feature} if feature else None,
            start=window.start,
            end=window.end,
            points=points,
        )

    found = lines(chosen.model, shown)
    beside: list[Line] = []
    later_ms = 0
    if chosen.with_model and chosen.model:
        beside = lines(chosen.with_model, shown).lines
    elif chosen.with_from:
        earlier = time_range(chosen.with_from, chosen.with_to)
        beside = lines(chosen.model, earlier).lines
        later_ms = (found.start_ms or 0) - (earlier.start_ms or 0)
    ids = {line.model_id for line in (*found.lines, *beside)} | {chosen.model, chosen.with_model}
    models = model_names(known_settings(request), mlapp_id, ids - {""})
    named, other = (
        [models.get(each, each[:8]) for each in (chosen.model, chosen.with_model)]
        if chosen.with_model
        else ["this time", "other time"]
    )
    has_both = chosen.with_from or (chosen.with_model and chosen.model)
    against = Comparison(other, beside, later_ms) if has_both else None
    window = Window(found.start_ms, found.end_ms)
    is_now = against is None and shown.known_at is None
    buckets = (found.start_ms, found.width_ms) if is_now and found.start_ms is not None else None
    drawing = draw_lines(
        found.lines, window, zone, against=against, named=named, models=models, buckets=buckets
    )
    return drawing.answer(request, zone)


@ROUTER.get("/charts/{mlapp_id}/report.json")
def report(
    request: Request,
    mlapp_id: str,
    name: Name,
    shown: Shown,
    chosen: Chosen,
    zone: Zone,
    feature: str | None = None,
) -> Response:
    """The latest report of a statistic that is no number; of a set of histograms the one of a feature."""
    from parallelm.warehouse.queries import model_names

    row = _latest(request, mlapp_id, name, shown, chosen, chosen.model)
    if row is None:
        return nothing("Nothing was reported in this time.").answer(request, zone)
    if row["graph_type"] == HEAT_MAP_KIND:
        return _heat_maps(request, mlapp_id, name, shown, chosen, zone)
    if feature is None or not chosen.is_comparison:
        return draw_report(row, feature).answer(request, zone)
    if chosen.with_model:
        ids = [chosen.model or row["model_id"], chosen.with_model]
        models = model_names(known_settings(request), mlapp_id, ids)
        other = _latest(request, mlapp_id, name, shown, chosen, chosen.with_model)
        titles = [models.get(each, each[:8]) for each in ids]
    else:
        earlier = time_range(chosen.with_from, chosen.with_to)
        other, titles = (
            _latest(request, mlapp_id, name, earlier, chosen, chosen.model),
            ["this time", "other time"],
        )
    found = [
        histogram_of(each, feature, title) for each, title in zip((row, other), titles, strict=True) if each
    ]
    return draw_histograms([each for each in found if each]).answer(request, zone)


def _heat_maps(
    request: Request, mlapp_id: str, name: str, shown: TimeRange, chosen: Chosen, zone: str
) -> Response:
    from parallelm.warehouse.queries import reports

    found = reports(known_settings(request), mlapp_id, name, **_asked(shown, chosen, chosen.model))
    return draw_heat_maps(found, zone).answer(request, zone)


@ROUTER.get("/charts/{mlapp_id}/kpi.json")
def kpi(request: Request, mlapp_id: str, name: Name, shown: Shown, zone: Zone) -> Response:
    """The points of a KPI, a line for each set of labels."""
    from parallelm.warehouse.queries import kpis

    found = kpis(
        known_settings(request),
        name,
        mlapp_id=mlapp_id,
        start=shown.start,
        end=shown.end,
    )
    by_labels: dict[tuple[tuple[str, str], ...], list[tuple[int, float]]] = {}
    times = (int(each.timestamp() * 1000) for each in found["event_time"])
    for at_ms, labels, value in zip(times, found["labels"], found["value"], strict=True):
        by_labels.setdefault(tuple(sorted(labels.items())), []).append((at_ms, float(value)))
    lines = [line_of_points(name, points, dict(labels)) for labels, points in by_labels.items()]
    return draw_lines(lines, Window(shown.start_ms, shown.end_ms), zone).answer(request, zone)


@ROUTER.get("/mlapps/{mlapp_id}/statistics/tree")
def tree(request: Request, mlapp_id: str, name: Name, shown: Shown, chosen: Chosen) -> HTMLResponse:
    """Opaque data as a tree."""
    row = _latest(request, mlapp_id, name, shown, chosen, chosen.model)
    value, told = None, "Nothing was reported in this time."
    if row is not None:
        value, told = _opaque(row["data"])
    return render(request, "parts/tree.html", {"value": value, "told": told, "name": name})


def _opaque(data: Any) -> tuple[Any, str]:
    """What a tree shows, and what is said beside it."""
    size = len(data)
    if size > _MOST_TREE:
        return None, f"It has {size:,} bytes: too many to show here; ask for it through the API."
    try:
        return read_json(data), ""
    except ValueError:
        shown = plain(data)
        return None, shown if isinstance(shown, str) else f"{size:,} bytes that are no text"


@ROUTER.get("/mlapps/{mlapp_id}/statistics/page")
def page(request: Request, mlapp_id: str, name: Name, shown: Shown, chosen: Chosen) -> Response:
    """HTML as a component has reported it, for an isolated frame."""
    row = _latest(request, mlapp_id, name, shown, chosen, chosen.model)
    if row is None or row["graph_type"] != "HTML":
        raise HTTPException(404, f"statistic {name!r} has no HTML in this time")
    data = row["data"] if isinstance(row["data"], bytes) else str(row["data"]).encode()
    if len(data) > _MOST_HTML:
        raise HTTPException(413, f"the HTML of statistic {name!r} has {len(data):,} bytes: too many to show")
    headers = {"Content-Security-Policy": ISOLATED, "Cache-Control": "no-store"}
    return Response(data, media_type="text/html; charset=utf-8", headers=headers)


def _latest(
    request: Request, mlapp_id: str, name: str, shown: TimeRange, chosen: Chosen, model: str
) -> dict[str, Any] | None:
    from parallelm.warehouse.queries import latest_report

    return latest_report(known_settings(request), mlapp_id, name, **_asked(shown, chosen, model))


def _asked(shown: TimeRange, chosen: Chosen, model: str) -> dict[str, Any]:
    return {
        "node_id": chosen.node,
        "agent_id": chosen.agent or None,
        "model_id": model or None,
        "start": shown.start,
        "end": shown.end,
    }
