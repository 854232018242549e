"""Data of the charts of the Health View, as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from starlette.responses import Response

from parallelm.schemas.well_known import PREDICTION_HISTOGRAM
from parallelm.server.access.dependencies import require
from parallelm.server.charts.bars import Histogram, draw_histograms
from parallelm.server.charts.drawing import Drawing, nothing, wall_ms, wall_text
from parallelm.server.charts.lanes import SEVERITY_COLOURS, Bar, Mark, lane_panel
from parallelm.server.charts.panels import stack
from parallelm.server.charts.statistics import distribution_of
from parallelm.server.charts.tables import draw_matrix
from parallelm.server.pages._alerts_shown import alerts_shown
from parallelm.server.pages._window import ms_of, window_of
from parallelm.server.pages.health import NAMES, Compared, canary_decisions, reporter_of
from parallelm.server.pages.statistic_charts import Name, Zone
from parallelm.server.pages.statistics import events_of, latest_models
from parallelm.server.pages.time_range import Shown, known_settings

ROUTER: Final = APIRouter(dependencies=[Depends(require("mlapps.read"))])
_COLUMNS: Final = 40
_ROWS: Final = 40
_EVENTS: Final = 400


@ROUTER.get("/charts/{mlapp_id}/feature.json")
def feature_chart(
    request: Request,
    mlapp_id: str,
    feature: Name,
    shown: Shown,
    compared: Compared,
    zone: Zone,
) -> Response:
    """The histograms of a feature in training and at work, over each other."""
    from parallelm.warehouse.queries import feature_histograms

    trained, at_work = feature_histograms(
        known_settings(request),
        mlapp_id,
        NAMES,
        feature,
        training=reporter_of(compared.training),
        inference=reporter_of(compared.inference),
        start=shown.start,
        end=shown.end,
    )
    found = [("training", trained), ("inference", at_work)]
    return draw_histograms([Histogram.of_row(name, row) for name, row in found if row]).answer(request, zone)


@ROUTER.get("/charts/{mlapp_id}/scores.json")
def scores(request: Request, mlapp_id: str, shown: Shown, compared: Compared, zone: Zone) -> Response:
    """Similarity scores of all features over time, the worst feature on top."""
    from parallelm.warehouse.queries import statistic_lines

    reporter = reporter_of(compared.inference)
    found = statistic_lines(
        known_settings(request),
        NAMES.scores,
        mlapp_id=mlapp_id,
        node_id=reporter.node_id if reporter else None,
        agent_id=reporter.agent_id if reporter else None,
        start=shown.start,
        end=shown.end,
        points=_COLUMNS,
    )
    lowest: dict[str, dict[int, float]] = {}
    for line in found.lines:
        cells = lowest.setdefault(NAMES.feature_of(line.labels), {})
        for at_ms, value in zip(line.times_ms, line.minima, strict=True):
            cells[at_ms] = min(cells.get(at_ms, value), value)
    times = sorted({at_ms for cells in lowest.values() for at_ms in cells})
    features = sorted(lowest, key=lambda name: (min(lowest[name].values()), name))[:_ROWS]
    drawing = draw_matrix(
        features,
        [wall_text(each)[:16] for each in wall_ms(times, zone)],
        [[lowest[name].get(at_ms) for at_ms in times] for name in features],
        told=f"Similarity with training of {len(features)} features over time, the worst on top: {', '.join(features[:3])}",
        bounds=(0.0, 1.0),
        low_is_bad=True,
        labelled=False,
    )
    return drawing.answer(request, zone)


@ROUTER.get("/charts/{mlapp_id}/events.json")
def events(request: Request, mlapp_id: str, shown: Shown, zone: Zone) -> Response:
    """Events, and alerts as long as they went on, on a time axis."""
    window = window_of(request, mlapp_id, shown)
    end_ms = window.end_ms or int(datetime.now(UTC).timestamp() * 1000)
    marks = [
        Mark(
            row["type"],
            ms_of(row["event_time"]),
            f"{row['title'] or row['type']}: {row['description']}",
            "var(--warning)" if row["is_alert"] else "var(--accent)",
        )
        for row in events_of(request, mlapp_id, shown, _EVENTS)
    ]
    bars = alert_bars(request, mlapp_id, shown, prefix="alert: ")
    if not marks and not bars:
        return nothing("Neither an event nor an alert in this time.").answer(request, zone)
    start = None if window.start_ms is None else wall_ms([window.start_ms], zone)[0]
    option, height = stack([lane_panel("", bars, marks, zone)], start, wall_ms([end_ms], zone)[0])
    rows = [[wall_text(wall_ms([mark.at_ms], zone)[0]), mark.lane, mark.told] for mark in marks]
    rows += [[wall_text(wall_ms([bar.start_ms], zone)[0]), bar.lane, bar.told] for bar in bars]
    told = f"{len(bars)} alerts and {len(marks)} events over time"
    drawing = Drawing(
        told, option, ("Time", "What", "Told"), sorted(rows), zoom=True, height=height, in_pieces=True
    )
    return drawing.answer(request, zone)


def alert_bars(
    request: Request, mlapp_id: str, shown: Shown, link: Callable[[str], str] | None = None, prefix: str = ""
) -> list[Bar]:
    """Alerts that fired, as long as they went on; ``link`` makes an address of an alert's id, ``prefix`` begins its lane."""
    bars = []
    for row in alerts_shown(request, mlapp_id, shown):
        start_ms, end_ms = ms_of(row["fired_at"]), ms_of(row["resolved_at"]) if row["resolved_at"] else None
        colour = SEVERITY_COLOURS.get(row["severity"], "var(--muted)")
        until = "resolved" if end_ms is not None else row["state"]
        bars.append(
            Bar(
                f"{prefix}{row['rule']}",
                start_ms,
                end_ms,
                "",
                f"{row['rule']} ({row['severity']}, {until}): {row['fired_reason']}",
                colour=colour,
                opacity=0.4 if row["state"] == "silenced" else 0.85,
                link=link(row["alert_id"]) if link else "",
            )
        )
    return bars


@ROUTER.get("/charts/{mlapp_id}/canary.json")
def canary(
    request: Request, mlapp_id: str, deployment: Annotated[str, Query(max_length=200)], zone: Zone
) -> Response:
    """The predictions of a canary and of the live model, over each other."""
    rows = canary_decisions(request, mlapp_id).get(deployment)
    if not rows:
        raise HTTPException(404, f"there was no canary {deployment!r}")
    place = next(number for number, row in enumerate(rows) if row["state"] == "canary")
    began, last = rows[place], rows[-1]["event_time"] if len(rows) > place + 1 else None
    # What was reported at the moment of the decision often led to it.
    end = last + timedelta(milliseconds=1) if last else None
    evidence = json.loads(began["evidence_json"] or "{}")
    names = latest_models(request, mlapp_id)
    asked = {"start": began["event_time"], "end": end}
    on_trial, live = _predictions(request, mlapp_id, began, evidence, asked)
    found = [
        distribution_of(row, f"{title}: {names.get(model_id, model_id[:8])}")
        for title, model_id, row in (
            ("live", began["related_model_id"], live),
            ("canary", began["model_id"], on_trial),
        )
        if row
    ]
    drawn = [each for each in found if each]
    if not drawn:
        missing = f"No distribution of predictions was reported in its time: report {PREDICTION_HISTOGRAM!r}."
        return nothing(missing).answer(request, zone)
    return draw_histograms(drawn).answer(request, zone)


def _predictions(
    request: Request, mlapp_id: str, began: dict[str, Any], evidence: dict[str, Any], asked: dict[str, Any]
) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """Latest distributions of the predictions of canary and live model: by model where reports name it, else by who reports."""
    from parallelm.warehouse.queries import latest_report, mlapp_agents

    settings = known_settings(request)

    def latest(**whose: Any) -> dict[str, Any] | None:
        return latest_report(settings, mlapp_id, PREDICTION_HISTOGRAM, **asked, **whose)

    if named := latest(model_id=began["model_id"]):
        return named, latest(model_id=began["related_model_id"])
    if node_id := evidence.get("node"):
        return latest(node_id=node_id), latest(node_id=began["node_id"])
    agents = set(evidence.get("agents", ()))
    others = {
        each["agent_id"] for each in mlapp_agents(settings, mlapp_id) if each["node_id"] == began["node_id"]
    }
    whose = {"node_id": began["node_id"]}
    return latest(**whose, agent_id=agents), latest(**whose, agent_id=others - agents)
