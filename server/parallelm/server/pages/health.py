"""Health View of an MLApp: whether data at work still look like those of training, and how new models do."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import HTMLResponse

from parallelm.schemas.well_known import (
    CATEGORICAL_HISTOGRAM,
    CATEGORICAL_OVERLAP,
    CONTINUOUS_HISTOGRAM,
    CONTINUOUS_OVERLAP,
    DRIFT_JS,
    DRIFT_KS,
    DRIFT_MISSING,
    DRIFT_NEW_CATEGORIES,
    DRIFT_P_VALUE,
    DRIFT_PSI,
    FEATURE_LABEL,
    INFERENCE_PHASE,
    LINE_LABEL,
    OVERLAP_LABEL_PREFIX,
    PHASE_LABEL,
    TRAINING_PHASE,
)
from parallelm.server.access.dependencies import require
from parallelm.server.pages import Page
from parallelm.server.pages._alerts_shown import alerts_shown
from parallelm.server.pages._mentioned import require_mentioned
from parallelm.server.pages._window import address, iso, ms_of, window_of, window_query
from parallelm.server.pages.rendering import render
from parallelm.server.pages.statistics import events_of, latest_models
from parallelm.server.pages.time_range import Shown, TimeRange, known_settings
from parallelm.warehouse.queries import Names, Reporter

ROUTER: Final = APIRouter(dependencies=[Depends(require("mlapps.read"))])
PAGE: Final = Page("Health", "/health", "mlapps.read", place=20, of_mlapp=True)
NAMES: Final = Names(
    histograms=(CONTINUOUS_HISTOGRAM, CATEGORICAL_HISTOGRAM),
    scores=(CONTINUOUS_OVERLAP, CATEGORICAL_OVERLAP),
    drift="drift.",
    feature_label=FEATURE_LABEL,
    line_label=LINE_LABEL,
    line_prefix=OVERLAP_LABEL_PREFIX,
    phase_label=PHASE_LABEL,
    training=TRAINING_PHASE,
    inference=INFERENCE_PHASE,
)
MEASURES: Final = (
    ("PSI", DRIFT_PSI),
    ("JS", DRIFT_JS),
    ("KS", DRIFT_KS),
    ("p-value", DRIFT_P_VALUE),
    ("Missing", DRIFT_MISSING),
    ("New categories", DRIFT_NEW_CATEGORIES),
)
AB_STATISTICS: Final = ("AB", "AB Stats", "ConversionRate", "Success")
"""What the comparators of an A/B test report."""
_EVENTS: Final = 50
_FEW: Final = 12
_CANARIES: Final = 24
_ON: Final = " on "


@dataclass(frozen=True, slots=True)
class Reporters:
    """Whose data are compared; an empty one means whoever reported last."""

    training: str = ""
    inference: str = ""


def reporters(training: str = "", inference: str = "") -> Reporters:
    """Of a request."""
    return Reporters(training, inference)


Compared = Annotated[Reporters, Depends(reporters)]


@ROUTER.get("/mlapps/{mlapp_id}/health")
def health(
    request: Request,
    mlapp_id: str,
    shown: Shown,
    compared: Compared,
    tab: Annotated[Literal["data", "canary", "ab"], Query()] = "data",
    features: Annotated[int, Query(ge=1, le=1000)] = _FEW,
) -> HTMLResponse:
    """The page, with one of its tabs."""
    from parallelm.warehouse.queries import activity, current_mlapp, histogram_reporters, reported_statistics

    settings = known_settings(request)
    definition = current_mlapp(settings, mlapp_id)
    everything = reported_statistics(settings, mlapp_id)
    if definition is None and not everything:
        require_mentioned(settings, mlapp_id)
    window = window_query(window_of(request, mlapp_id, shown), shown)
    by_phase = histogram_reporters(settings, mlapp_id, NAMES)
    asked = {"training": compared.training, "inference": compared.inference}
    comparators = [each for each in everything if each.name in AB_STATISTICS]
    values: dict[str, Any] = {
        "mlapp_id": mlapp_id,
        "shown": shown,
        "tab": tab,
        "tab_links": _tabs(request, tab, len(comparators)),
        "activity": activity(settings, mlapp_id, start=shown.start, end=shown.end),
        "compared": compared,
        "training": [named(each) for each in by_phase[TRAINING_PHASE]],
        "inference": [named(each) for each in by_phase[INFERENCE_PHASE]],
        "threshold_of": partial(score_threshold, definition),
        "has_reports": bool(everything),
        "events": events_of(request, mlapp_id, shown, _EVENTS),
        "events_url": address(request, "charts", mlapp_id, "events.json", **window),
    }
    if tab == "data":
        values |= _features(request, mlapp_id, shown, compared, features, {**window, **asked})
        values["heat_url"] = address(
            request, "charts", mlapp_id, "scores.json", **window, inference=compared.inference
        )
    elif tab == "canary":
        values["canaries"] = canaries(request, mlapp_id, shown)
    else:
        values["comparisons"] = _comparisons(request, mlapp_id, comparators, window)
    return render(request, "health.html", values)


def score_threshold(definition: Mapping[str, Any] | None, feature: str) -> float | None:
    """Similarity score below which an alert fires: of the health rules about the feature, else of the MLApp; None: none does."""
    if definition is None:
        return None
    rules = zip(definition["rules.type"], definition["rules.parameters_json"], strict=True)
    watching = [
        parameters["threshold"]
        for kind, text in rules
        if kind == "health"
        and (parameters := json.loads(text)).get("measure") == "score"
        and (parameters.get("features", "all") == "all" or feature in parameters["features"])
    ]
    if watching:
        return float(max(watching))
    of_mlapp = float(definition["health_threshold"])
    return of_mlapp if of_mlapp >= 0 else None


def named(reporter: Reporter) -> str:
    """As a choice shows it, and an address has it."""
    return f"{reporter.node_id}{_ON}{reporter.agent_id}"


def reporter_of(text: str) -> Reporter | None:
    """Inverse of ``named``; None for no choice."""
    if not text:
        return None
    node_id, _, agent_id = text.rpartition(_ON)
    return Reporter(node_id, agent_id)


def _tabs(request: Request, tab: str, comparisons: int) -> list[tuple[Any, ...]]:
    def link(name: str) -> str:
        return f"?{request.url.include_query_params(tab=name).query}"

    tabs: list[tuple[Any, ...]] = [("Data deviation", link("data"), tab == "data")]
    tabs.append(("Canary", link("canary"), tab == "canary"))
    tabs.append(("A/B test", link("ab"), tab == "ab", *((comparisons,) if comparisons else ())))
    return tabs


def _features(
    request: Request,
    mlapp_id: str,
    shown: Shown,
    compared: Reporters,
    most: int,
    asked: Mapping[str, str],
) -> dict[str, Any]:
    from parallelm.warehouse.queries import feature_health

    # Of a time that is over it is asked what was wrong; otherwise how things are.
    is_over = shown.end_ms is not None
    found = feature_health(
        known_settings(request),
        mlapp_id,
        NAMES,
        inference=reporter_of(compared.inference),
        at_worst=is_over,
        start=shown.start,
        end=shown.end,
    )
    fired: dict[str, list[dict[str, Any]]] = {}
    for row in alerts_shown(request, mlapp_id, shown):
        fired.setdefault(row["labels"].get(FEATURE_LABEL, ""), []).append(row)
    found.sort(key=lambda each: each.feature not in fired)
    urls = {}
    for each in found[:most]:
        report = (
            {"inference": named(each.reporter), "to": iso(ms_of(each.reported_at) + 1)} if is_over else {}
        )
        urls[each.feature] = address(
            request, "charts", mlapp_id, "feature.json", feature=each.feature, **{**asked, **report}
        )
    more = f"?{request.url.include_query_params(features=1000).query}" if len(found) > most else ""
    return {
        "features": found,
        "is_over": is_over,
        "fired": fired,
        "urls": urls,
        "measures": MEASURES,
        "more": more,
    }


@dataclass(frozen=True, slots=True)
class Canary:
    """One canary: a model on trial beside the live one."""

    deployment_id: str
    node_id: str
    model: str
    baseline: str
    state: str
    reason: str
    started_at: Any
    decided_at: Any
    score: float | None
    metrics: Sequence[Mapping[str, Any]]
    url: str


def canaries(request: Request, mlapp_id: str, shown: TimeRange) -> list[Canary]:
    """Canaries of the time shown, the latest first, with the numbers behind their latest decision; not more than fit on a page."""
    names = latest_models(request, mlapp_id)
    known_at = request.query_params.get("known_at", "")
    found = []
    for deployment_id, rows in canary_decisions(request, mlapp_id).items():
        began = next(row for row in rows if row["state"] == "canary")
        judged = [row for row in rows if "metrics" in json.loads(row["evidence_json"] or "{}")]
        evidence = json.loads(judged[-1]["evidence_json"]) if judged else {}
        last = rows[-1] if not judged else judged[-1]
        is_over = last["state"] != "canary" and ms_of(last["event_time"]) < (shown.start_ms or 0)
        if is_over or (shown.end_ms is not None and ms_of(began["event_time"]) >= shown.end_ms):
            continue
        found.append(
            Canary(
                deployment_id=deployment_id,
                node_id=began["node_id"],
                model=names.get(began["model_id"], began["model_id"][:8]),
                baseline=names.get(began["related_model_id"], began["related_model_id"][:8]),
                state=rows[-1]["state"],
                reason=last["reason"],
                started_at=began["event_time"],
                decided_at=last["event_time"],
                score=evidence.get("score"),
                metrics=evidence.get("metrics", ()),
                url=address(
                    request, "charts", mlapp_id, "canary.json", deployment=deployment_id, known_at=known_at
                ),
            )
        )
    return found[::-1][:_CANARIES]


def canary_decisions(request: Request, mlapp_id: str) -> dict[str, list[dict[str, Any]]]:
    """Decisions on each deployment that was a canary, in their order."""
    from parallelm.warehouse.queries import deployment_history

    history = deployment_history(known_settings(request), mlapp_id=mlapp_id).to_dict("records")
    on_trial = dict.fromkeys(row["deployment_id"] for row in history if row["state"] == "canary")
    return {
        each: [
            {str(key): value for key, value in row.items()} for row in history if row["deployment_id"] == each
        ]
        for each in on_trial
    }


def _comparisons(
    request: Request, mlapp_id: str, comparators: Sequence[Any], window: Mapping[str, str]
) -> list[tuple[str, list[tuple[str, str]]]]:
    """Charts of each node that compares."""
    by_node: dict[str, list[tuple[str, str]]] = {}
    for each in sorted(comparators, key=lambda found: AB_STATISTICS.index(found.name)):
        route = "numbers.json" if each.kind == "LINEGRAPH" else "report.json"
        url = address(request, "charts", mlapp_id, route, name=each.name, node=each.node_id, **window)
        by_node.setdefault(each.node_id, []).append((each.name, url))
    return list(by_node.items())
