"""What moves with a KPI, and what a deployment, an alert or a moment changed; long questions are parts that come later."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import HTMLResponse, Response

from parallelm.operations.json_values import read_json
from parallelm.server.access.dependencies import require
from parallelm.server.charts.scatter import draw_scatter
from parallelm.server.pages._rows import labels_of, rows
from parallelm.server.pages.filters import zone_of
from parallelm.server.pages.kpis.one import Name
from parallelm.server.pages.rendering import render
from parallelm.server.pages.time_range import Shown, known_settings
from parallelm.warehouse.errors import QueryError
from parallelm.warehouse.queries import alerts, correlate, deployments, impact, timeline

ROUTER: Final = APIRouter(prefix="/mlapps/{mlapp_id}/kpis", dependencies=[Depends(require("mlapps.read"))])
BUCKETS: Final = ("1D", "7D", "12h", "6h", "1h", "15min")
_ROWS: Final = 50
_CHOICES: Final = 200


@dataclass(frozen=True, slots=True)
class KpiChoice:
    """Which KPI is meant and how it is cut into buckets: fields of each question."""

    name: str
    label: str
    aggregation: Literal["", "sum", "mean"]
    bucket: str
    timezone: str

    def options(self) -> dict[str, Any]:
        """As the queries take them."""
        return {
            "labels": labels_of(self.label),
            "kpi_aggregation": self.aggregation or None,
            "bucket": self.bucket,
            "timezone": self.timezone or None,
        }


def _choice(
    name: Name,
    label: str = "",
    aggregation: Literal["", "sum", "mean"] = "",
    bucket: str = "1D",
    timezone: str = "",
) -> KpiChoice:
    return KpiChoice(name, label, aggregation, bucket, timezone)


Chosen = Annotated[KpiChoice, Depends(_choice)]


@dataclass(frozen=True, slots=True)
class Comparing:
    """How a KPI is compared with statistics."""

    max_lag: int
    keep: list[str]


def _comparing(
    max_lag: Annotated[int, Query(ge=0, le=1000)] = 7,
    keep: Annotated[list[str], Query()] = [],  # noqa: B006 - FastAPI copies it
) -> Comparing:
    return Comparing(max_lag, keep)


Compared = Annotated[Comparing, Depends(_comparing)]


@dataclass(frozen=True, slots=True)
class Change:
    """What a KPI may have changed with, and how much of it is looked at."""

    of: str
    """``deployment:<id>`` or ``alert:<id>``; empty: a time."""
    at: str
    before: int
    after: int

    def options(self) -> dict[str, Any]:
        """As the query takes them."""
        kind, _, its_id = self.of.partition(":")
        return {
            "deployment_id": its_id if kind == "deployment" else None,
            "alert_id": its_id if kind == "alert" else None,
            "at": self.at or None if kind not in {"deployment", "alert"} else None,
            "before": self.before,
            "after": self.after,
        }


def _change(
    of: str = "",
    at: str = "",
    before: Annotated[int, Query(ge=1, le=1000)] = 120,
    after: Annotated[int, Query(ge=1, le=1000)] = 60,
) -> Change:
    return Change(of, at, before, after)


Changed = Annotated[Change, Depends(_change)]


@ROUTER.get("/correlate")
def correlate_page(
    request: Request, mlapp_id: str, chosen: Chosen, shown: Shown, compared: Compared
) -> HTMLResponse:
    """The question as its address has it; the answer comes when it is there."""
    values = {"mlapp_id": mlapp_id, "chosen": chosen, "shown": shown, "buckets": BUCKETS}
    return render(request, "kpis/correlate.html", values | asdict(compared))


@ROUTER.get("/correlate/answer")
def correlate_answer(
    request: Request, mlapp_id: str, chosen: Chosen, shown: Shown, compared: Compared
) -> HTMLResponse:
    """Statistics that move with the KPI, the surest first."""
    values: dict[str, Any] = {"mlapp_id": mlapp_id, "chosen": chosen, "problem": "", "found": None}
    try:
        found = correlate(
            known_settings(request),
            chosen.name,
            mlapp_id=mlapp_id,
            **asdict(compared),
            start=shown.start,
            end=shown.end,
            **chosen.options(),
        )
    except QueryError as error:
        values["problem"] = str(error)
    else:
        values |= {
            "found": found,
            "rows": rows(found.table.head(_ROWS)),
            "all": len(found.table),
            "shown": shown,
        }
    return render(request, "kpis/_correlated.html", values)


@ROUTER.get("/scatter.json")
def scatter(
    request: Request,
    mlapp_id: str,
    chosen: Chosen,
    shown: Shown,
    statistic: str,
    node_id: str = "",
    series: str = "{}",
    lag: Annotated[int, Query(ge=0, le=100_000)] = 0,
) -> Response:
    """The KPI against one statistic that came ``lag`` buckets before it, as both were: season and trend are in them."""
    found = timeline(
        known_settings(request),
        chosen.name,
        mlapp_id=mlapp_id,
        statistics=[statistic],
        start=shown.start,
        end=shown.end,
        **chosen.options(),
    )
    table = found.statistics
    own = table[(table["node_id"] == node_id) & (table["labels"] == _labels(series))]["value"]
    later = found.points.iloc[lag : lag + len(own)]
    pairs = [
        (f"{when:%Y-%m-%d %H:%M}", float(earlier), float(value))
        for when, value, earlier in zip(later["time"], later["value"], own, strict=False)
        if math.isfinite(earlier) and math.isfinite(value)
    ]
    before = f"{statistic}, {lag} buckets before" if lag else statistic
    notes = ("As reported: season and trend are in both, which the answer has removed.",)
    drawing = draw_scatter(pairs, across=before, up=chosen.name, notes=notes)
    return drawing.answer(request, zone_of(request.cookies.get("zone", "UTC")).key)


def _labels(text: str) -> dict[str, str]:
    try:
        return {str(key): str(value) for key, value in read_json(text).items()}
    except (ValueError, AttributeError) as error:
        raise QueryError(f"{text!r} are no labels: they are an object in JSON") from error


@ROUTER.get("/impact")
def impact_page(request: Request, mlapp_id: str, chosen: Chosen, changed: Changed) -> HTMLResponse:
    """The question as its address has it: of a deployment, an alert, or a time."""
    settings = known_settings(request)
    live = [
        row
        for row in rows(deployments(settings, mlapp_id=mlapp_id))
        if row["live_from"] is not None and row["attempt"]
    ]
    values = {
        "mlapp_id": mlapp_id,
        "chosen": chosen,
        **asdict(changed),
        "buckets": BUCKETS,
        "deployments": live[: -_CHOICES - 1 : -1],
        "alerts": rows(alerts(settings, mlapp_id=mlapp_id))[: -_CHOICES - 1 : -1],
    }
    return render(request, "kpis/impact.html", values)


@ROUTER.get("/impact/answer")
def impact_answer(request: Request, mlapp_id: str, chosen: Chosen, changed: Changed) -> HTMLResponse:
    """The KPI before and after, with season and trend taken into account."""
    values: dict[str, Any] = {"problem": "", "found": None}
    try:
        values["found"] = impact(
            known_settings(request),
            chosen.name,
            mlapp_id=mlapp_id,
            **changed.options(),
            **chosen.options(),
        )
    except QueryError as error:
        values["problem"] = str(error)
    return render(request, "kpis/_impact.html", values)
