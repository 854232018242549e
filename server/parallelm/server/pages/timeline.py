"""Timeline of an MLApp: KPI, statistics, live models, alerts and what people did, on one axis; a click explains a mark."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import HTMLResponse, Response

from parallelm.operations.alerts import find_alert
from parallelm.operations.errors import UnknownDecisionError
from parallelm.operations.explaining.alert import explain_alert
from parallelm.operations.explaining.deployment import deployment_rows, explain_deployment
from parallelm.operations.explaining.part import Part
from parallelm.operations.explaining.run import explain_run
from parallelm.operations.json_values import plain, scalar_text
from parallelm.operations.runs import find_run
from parallelm.server.access.dependencies import require
from parallelm.server.charts.lanes import Bar, Mark
from parallelm.server.charts.lines import Window, line_names
from parallelm.server.charts.timeline import (
    BAND_COLOURS,
    Curve,
    Curves,
    Happenings,
    bucket_points,
    draw_timeline,
    statistic_curves,
)
from parallelm.server.pages import Page
from parallelm.server.pages._mentioned import require_mentioned
from parallelm.server.pages._rows import rows
from parallelm.server.pages._timeline_runs import run_bars, window_with_runs
from parallelm.server.pages._window import address, address_of_pairs, ms_of, window_of
from parallelm.server.pages.health_charts import alert_bars
from parallelm.server.pages.rendering import render
from parallelm.server.pages.statistic_charts import Zone
from parallelm.server.pages.statistics import events_of
from parallelm.server.pages.time_range import Shown, TimeRange, known_settings
from parallelm.warehouse.errors import QueryError
from parallelm.warehouse.queries import Timeline
from parallelm.warehouse.queries.node_runs import runs_span

ROUTER: Final = APIRouter(dependencies=[Depends(require("mlapps.read"))])
PAGE: Final = Page("Timeline", "/timeline", "mlapps.read", place=25, of_mlapp=True)
BUCKETS: Final = (("1h", "hour"), ("6h", "6 hours"), ("1D", "day"), ("7D", "week"), ("month", "month"))
_MARKS: Final = 300
_FEW_SERIES: Final = 5_000
"""So many series are correlated with the KPI without being asked."""
_ANSWERS: Final = frozenset({"accepted", "superseded"})
"""Transitions that the bands of live models show."""
Bucket = Literal["1h", "6h", "1D", "7D", "month"]
Aggregation = Literal["mean", "sum"]
Together = Literal["", "mean", "sum"]
Statistics = Annotated[list[str], Query(max_length=20)]


@ROUTER.get("/mlapps/{mlapp_id}/timeline")
def timeline(
    request: Request,
    mlapp_id: str,
    shown: Shown,
    kpi: str = "",
    statistic: Statistics = [],  # noqa: B006 - FastAPI copies it
    bucket: Bucket = "1D",
    together: Together = "",
) -> HTMLResponse:
    """The page; the picture and explanations are loaded into it."""
    from parallelm.warehouse.queries import current_mlapp, kpi_names, reported_statistics

    settings = known_settings(request)
    everything = reported_statistics(settings, mlapp_id)
    kpis = kpi_names(settings, mlapp_id)
    if not everything and not kpis and current_mlapp(settings, mlapp_id) is None:
        require_mentioned(settings, mlapp_id)
    numbers = list(dict.fromkeys(each.name for each in everything if each.kind == "LINEGRAPH"))
    few = sum(each.series for each in everything if each.kind == "LINEGRAPH") <= _FEW_SERIES
    chosen = kpi if kpi in kpis else next(iter(kpis), "")
    asked = [
        ("kpi", chosen),
        ("bucket", bucket),
        *(("statistic", each) for each in statistic),
        *shown.written,
    ]
    if few and not statistic:
        asked.append(("choose", "1"))
    return render(
        request,
        "timeline.html",
        {
            "mlapp_id": mlapp_id,
            "shown": shown,
            "kpis": kpis,
            "kpi": chosen,
            "numbers": numbers,
            "statistic": statistic,
            "bucket": bucket,
            "buckets": BUCKETS,
            "together": together,
            "has_reports": bool(everything or kpis) or runs_span(settings, mlapp_id) is not None,
            "url": address_of_pairs(request, asked, "charts", mlapp_id, "timeline.json"),
        },
    )


@ROUTER.get("/charts/{mlapp_id}/timeline.json")
def timeline_chart(
    request: Request,
    mlapp_id: str,
    shown: Shown,
    zone: Zone,
    kpi: str = "",
    statistic: Statistics = [],  # noqa: B006 - FastAPI copies it
    bucket: Bucket = "1D",
    together: Together = "",
    choose: Annotated[bool, Query(description="Choose the statistics that go with the KPI.")] = False,
) -> Response:
    """The picture."""
    settings = known_settings(request)
    window = window_with_runs(settings, mlapp_id, window_of(request, mlapp_id, shown))
    curves: Curves | None = None
    notes: tuple[str, ...] = ()
    try:
        if kpi:
            window, curves, statistics, notes = _with_kpi(
                request, mlapp_id, kpi, shown, zone, bucket, together, None if choose else statistic
            )
    except QueryError as error:
        # What else happened is told all the same: a KPI often has nothing to show yet where alerts and runs do.
        notes = (str(error),)
    if curves is None:
        statistics = _without_kpi(request, mlapp_id, window, statistic)
    runs, more = run_bars(settings, mlapp_id, window, lambda each: _explained(request, mlapp_id, run=each))
    found = Happenings(
        window,
        curves,
        statistics,
        _live(request, mlapp_id, window),
        runs,
        alert_bars(request, mlapp_id, shown, lambda each: _explained(request, mlapp_id, alert=each)),
        _marks(request, mlapp_id, shown),
        (*notes, *more),
    )
    return draw_timeline(found, zone).answer(request, zone)


def _with_kpi(
    request: Request,
    mlapp_id: str,
    kpi: str,
    shown: TimeRange,
    zone: str,
    bucket: str,
    together: Together,
    statistics: Sequence[str] | None,
) -> tuple[Window, Curves, list[Curves], tuple[str, ...]]:
    """As ``mcenter kpis`` and ``plot_kpi`` read it. Days are those of UTC, or else of the viewer."""
    from parallelm.warehouse.queries import timeline as read

    def ask(timezone: str | None, aggregation: Aggregation | None) -> Timeline:
        return read(
            known_settings(request),
            kpi,
            mlapp_id=mlapp_id,
            bucket=bucket,
            timezone=timezone,
            statistics=statistics,
            kpi_aggregation=aggregation,
            start=shown.start,
            end=shown.end,
        )

    # What is not said, is asked for in this order: days of UTC or of the viewer, one series or the mean of several.
    hows: tuple[Aggregation | None, ...] = (together,) if together else (None, "mean")
    ways = [(timezone, how) for how in hows for timezone in (None, zone)]
    found = _first_answer(lambda way: ask(*ways[way]), len(ways))
    width_ms = round(found.width.total_seconds() * 1000)
    points = bucket_points(found.points, width_ms)
    window = Window(ms_of(found.start), ms_of(found.end))
    curves = Curves(kpi, "the KPI", [Curve(kpi, points)])
    return window, curves, statistic_curves(found.statistics, width_ms), found.notes


def _first_answer(ask: Callable[[int], Timeline], ways: int) -> Timeline:
    """The first that can be answered; else the first refusal."""
    refusals = []
    for way in range(ways):
        try:
            return ask(way)
        except QueryError as error:
            refusals.append(error)
    raise refusals[0]


def _without_kpi(request: Request, mlapp_id: str, window: Window, names: Sequence[str]) -> list[Curves]:
    from parallelm.warehouse.queries import statistic_lines

    panels = []
    for name in names:
        start, end = (
            None if each is None else datetime.fromtimestamp(each / 1000, UTC)
            for each in (window.start_ms, window.end_ms)
        )
        found = statistic_lines(known_settings(request), name, mlapp_id=mlapp_id, start=start, end=end).lines
        curves = [
            Curve(title, list(zip(line.times_ms, line.means, strict=True)))
            for title, line in zip(line_names(found), found, strict=True)
        ]
        panels.append(Curves(name, "mean of each bucket", curves))
    return panels


def _live(request: Request, mlapp_id: str, window: Window) -> list[Bar]:
    """Models that were live, a lane a node."""
    from parallelm.warehouse.queries import deployments

    bars: list[Bar] = []
    for row in rows(deployments(known_settings(request), mlapp_id=mlapp_id)):
        if row["live_from"] is None:
            continue
        start_ms, end_ms = ms_of(row["live_from"]), None if row["live_to"] is None else ms_of(row["live_to"])
        is_over = end_ms is not None and window.start_ms is not None and end_ms < window.start_ms
        if is_over or (window.end_ms is not None and start_ms >= window.end_ms):
            continue
        model = row["model_name"] or row["model_id"][:8]
        so_far = sum(bar.lane == row["node_id"] for bar in bars)
        bars.append(
            Bar(
                row["node_id"],
                start_ms,
                end_ms,
                model,
                f"{model} live on {row['node_id']}: {row['decided_reason']}",
                colour=BAND_COLOURS[so_far % 2],
                link=_explained(request, mlapp_id, deployment=row["deployment_id"]),
            )
        )
    return bars


def _marks(request: Request, mlapp_id: str, shown: TimeRange) -> list[Mark]:
    """Deployments, events and actions."""
    from parallelm.warehouse.queries import deployment_history
    from parallelm.warehouse.queries.audit import actions

    settings = known_settings(request)
    times: dict[str, Any] = {"start": shown.start, "end": shown.end}
    history = deployment_history(settings, mlapp_id=mlapp_id, **times)
    marks = [
        Mark(
            "deployments",
            ms_of(row["event_time"]),
            f"{row['model_name'] or row['model_id'][:8]} {row['state'].replace('_', ' ')} on {row['node_id']}: {row['reason']}",
            "var(--critical)" if row["state"] in {"rolled_back", "failed", "rejected"} else "var(--series-1)",
            "diamond",
            _explained(request, mlapp_id, deployment=row["deployment_id"]),
        )
        for row in rows(history)[-_MARKS:]
        if row["state"] not in _ANSWERS
    ]
    marks += [
        Mark(
            "events",
            ms_of(row["event_time"]),
            f"{row['title'] or row['type']}: {row['description']}",
            "var(--warning)" if row["is_alert"] else "var(--series-3)",
            "circle",
            _explained(request, mlapp_id, event=row["event_id"]),
        )
        for row in events_of(request, mlapp_id, shown, _MARKS)
    ]
    marks += [
        Mark(
            "actions",
            ms_of(row["event_time"]),
            f"{row['who']}: {row['action'].replace('_', ' ')} {row['comment']}",
            "var(--series-4)",
            "triangle",
            _explained(request, mlapp_id, action=row["action_id"]),
        )
        for row in actions(settings, mlapp_id=mlapp_id, limit=_MARKS, **times)
    ]
    return marks


@ROUTER.get("/mlapps/{mlapp_id}/timeline/explanation")
def explanation(
    request: Request,
    mlapp_id: str,
    alert: str = "",
    deployment: str = "",
    event: str = "",
    action: str = "",
    run: str = "",
) -> HTMLResponse:
    """The chain behind a mark, for the side of the page."""
    settings = known_settings(request)
    more = ""
    if alert:
        found = explain_alert(settings, find_alert(settings, alert, mlapp_id))
    elif run:
        found = explain_run(settings, find_run(settings, run, mlapp_id=mlapp_id))
        known_at = request.query_params.get("known_at", "")
        more = address(request, "mlapps", mlapp_id, "runs", run, known_at=known_at)
    elif deployment:
        decisions = [row for row in deployment_rows(settings, deployment) if row["mlapp_id"] == mlapp_id]
        if not decisions:
            raise UnknownDecisionError(f"MLApp {mlapp_id!r} has no deployment {deployment!r}")
        found = explain_deployment(settings, deployment, decisions)
    else:
        found = _record(request, mlapp_id, event, action)
    return render(request, "parts/explanation.html", {"explained": found, "more": more})


def _record(request: Request, mlapp_id: str, event: str, action: str) -> Part:
    """An event or an action: its fields."""
    from parallelm.warehouse.queries import events
    from parallelm.warehouse.queries.audit import actions

    settings = known_settings(request)
    if event:
        found = rows(events(settings, mlapp_id=mlapp_id, event_id=event))
    else:
        found = actions(settings, mlapp_id=mlapp_id, action_id=action, limit=1)
    if not found:
        raise UnknownDecisionError(f"MLApp {mlapp_id!r} has no event {event!r} and no action {action!r}")
    row = found[0]
    what = row.get("title") or row.get("type") or f"{row['action'].replace('_', ' ')} by {row['who']}"
    parts = [
        Part(f"{name.replace('_', ' ')}: {scalar_text(plain(value))}")
        for name, value in row.items()
        if value not in (None, "", {}) and name != "mlapp_id"
    ]
    return Part(str(what), plain(row), parts)


def _explained(request: Request, mlapp_id: str, **which: str) -> str:
    known_at = request.query_params.get("known_at", "")
    return address(request, "mlapps", mlapp_id, "timeline", "explanation", known_at=known_at, **which)
